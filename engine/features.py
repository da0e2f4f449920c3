"""What was asked for and what is really running."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import text

from engine.caching.caches import Caches, LayerReport
from engine.errors import DatabaseUnavailable, RedisUnavailable
from engine.operations.choices import RERANKER, THRESHOLD, Choice, Choices
from engine.reranking.base import Reranker
from engine.retrieval.vector import VectorIndex
from engine.settings import Settings
from engine.storage.database import Database, driver
from engine.storage.redis import RedisClient

OFF = "off"
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature. why: why `effective` differs from `asked`; empty if it does not.

    since: when `effective` was first seen as it is, by this process.
    """

    name: str
    asked: str
    effective: str
    why: str = ""
    since: datetime = _NEVER


class Features:
    """Looks at what is running: servers are asked, never the configuration."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        vectors: VectorIndex,
        rerankers: Mapping[str, Reranker | None],
        caches: Caches,
        redis: RedisClient | None,
        choices: Choices,
        *,
        language_model: bool,
        token_vectors: bool,
    ) -> None:
        self._settings = settings
        self._database = database
        self._vectors = vectors
        self._rerankers = rerankers
        self._caches = caches
        self._redis = redis
        self._choices = choices
        self._language_model = language_model
        self._token_vectors = token_vectors
        self._seen: dict[str, tuple[str, datetime]] = {}

    async def observe(self) -> list[Feature]:
        """All features as they are now. Raises nothing."""
        settings = self._settings
        redis = await self._ask_redis()
        layers = {layer.name: layer for layer in await self._caches.report()}
        found = [
            *await self._storage(),
            await self._reranker(),
            await self._threshold(),
            Feature(
                "language model",
                settings.openai_model if self._language_model else "none",
                settings.openai_model if self._language_model else "none: answers are quotes",
            ),
            _layer("L1 cache", settings.l1_cache_maxsize > 0, layers.get("L1")),
            self._on_redis("L2 cache", settings.enable_redis_cache, redis, "L1 and L3 serve."),
            _layer("L3 cache", settings.enable_postgres_cache, layers.get("L3")),
            self._semantic(),
            self._on_redis("Redis sessions", settings.enable_redis_sessions, redis, "PostgreSQL serves."),
        ]
        return [self._dated(feature) for feature in found]

    def _dated(self, feature: Feature) -> Feature:
        effective, since = self._seen.get(feature.name, ("", _NEVER))
        if effective != feature.effective:
            since = datetime.now(UTC)
            self._seen[feature.name] = feature.effective, since
        return replace(feature, since=since)

    async def _storage(self) -> list[Feature]:
        settings = self._settings
        asked = "PostgreSQL at DATABASE_URL" if settings.database_url else "embedded PostgreSQL"
        waiting = 0
        try:
            async with self._database.read() as db:
                version = (await db.execute(text("SHOW server_version"))).scalar_one()
                vector = (
                    await db.execute(text("SELECT extversion FROM pg_extension WHERE extname = 'vector'"))
                ).scalar_one()
                waiting = len(await self._vectors.documents_missing(db))
                # pgBouncer tells a client another process number than PostgreSQL has.
                told = (await driver(db)).get_server_pid()
                bounced = told != (await db.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            database = Feature("database", asked, f"{asked}: {version}, pgvector {vector}")
        except DatabaseUnavailable as error:
            database = Feature("database", asked, "not reachable", error.message)
            bounced = False
        pooled = "on" if settings.use_pgbouncer else OFF
        pgbouncer = Feature("pgBouncer", pooled, "on" if bounced else OFF)
        if bounced != settings.use_pgbouncer:
            why = "One stands before DATABASE_URL." if bounced else "Connections do not pass through one."
            pgbouncer = replace(pgbouncer, why=why)
        why = f"{waiting} documents are still being embedded; words alone find them until then."
        return [
            database,
            pgbouncer,
            Feature("embedder", settings.embedder, settings.embedder, why if waiting else ""),
        ]

    async def _reranker(self) -> Feature:
        asked = self._settings.default_reranker_type
        wanted = await self._choices.reranker()
        runs, why = self._reranker_now(wanted)
        if (chosen := (await self._choices.chosen()).get(RERANKER)) is not None:
            told = "is chosen" if chosen.value == wanted else "was chosen, which this version does not know"
            why = f"{chosen.value} {told} on the rerankers page{_since(chosen)}. {why}".strip()
        return Feature("reranker", asked, runs, why)

    def _reranker_now(self, wanted: str) -> tuple[str, str]:
        """Which one serves, and why another one than is wanted."""
        reranker = self._rerankers.get(wanted)
        if reranker is None:
            return "none", "The embedder gives no token vectors." if wanted != "none" else ""
        state = reranker.state()
        if state.status == "ready":
            return reranker.name, state.why
        loading = f"{wanted} is being loaded: {state.why or 'it begins'}."
        return state.served_by or "none", loading if state.status == "loading" else state.why

    async def _threshold(self) -> Feature:
        setting = self._settings.answer_threshold
        asked = f"{setting:g}" if setting >= 0 else "measured"
        running = f"{await self._choices.threshold():g}"
        effective = running if setting >= 0 else f"measured: {running}"
        if (chosen := (await self._choices.chosen()).get(THRESHOLD)) is None:
            return Feature("answer threshold", asked, effective)
        why = f"It is chosen on the rerankers page{_since(chosen)}."
        return Feature("answer threshold", asked, running, why)

    def _semantic(self) -> Feature:
        if self._caches.semantic is None:
            return Feature("semantic cache", OFF, OFF)
        if not self._token_vectors:
            return Feature("semantic cache", "on", OFF, "The embedder gives no token vectors.")
        return Feature("semantic cache", "on", "on")

    async def _ask_redis(self) -> str:
        """The server's name and version; empty if it does not answer."""
        if self._redis is None:
            return ""
        try:
            told = await self._redis.run(lambda redis: redis.info("server"))
        except RedisUnavailable:
            return ""
        return (
            f"Valkey {told['valkey_version']}"
            if "valkey_version" in told
            else f"Redis {told['redis_version']}"
        )

    def _on_redis(self, name: str, asked: bool, server: str, instead: str) -> Feature:
        if not asked or self._redis is None:
            return Feature(name, OFF, OFF)
        status = self._redis.status()
        if not server:
            return Feature(name, "on", OFF, f"Redis: {status.why or 'it does not answer'}. {instead}")
        if not status.writable:
            return Feature(name, "on", f"{server}, reading only", f"Redis: {status.why}. {instead}")
        return Feature(name, "on", server)


def _since(choice: Choice) -> str:
    return f" since {choice.chosen_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _layer(name: str, asked: bool, layer: LayerReport | None) -> Feature:
    if not asked:
        return Feature(name, OFF, OFF)
    if layer is None or layer.usage is None:
        return Feature(name, "on", OFF, "It cannot be asked; the other layers serve.")
    return Feature(name, "on", "on")
