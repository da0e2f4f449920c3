"""Opens the single parts that the settings ask for; each is closed with the stack it is given."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from engine.access.accounts import AccountStore
from engine.access.audit import Audit
from engine.access.collections import CollectionStore
from engine.access.fair_queue import FairQueue
from engine.access.keys import KeyStore
from engine.access.passwords import Passwords
from engine.access.principal import Access
from engine.access.provided import places
from engine.access.rates import QuestionRate, RateLimit
from engine.access.sign_ins import SignIns
from engine.answering.base import Answerer
from engine.answering.language_model import LanguageModel, LanguageModelAnswerer
from engine.chat.hot_copy import HotCopy
from engine.errors import DossierError, ModelUnavailable
from engine.observability.headers import parse_headers
from engine.observability.metrics import Metrics
from engine.observability.rerankers import MeasuredReranker
from engine.observability.traces import Listener
from engine.operations.operations import Reload
from engine.options import embedder_options
from engine.reranking import RERANKERS, RerankerParts
from engine.reranking.base import BUILT_IN, Reranker
from engine.reranking.cascade import NAME as CASCADE
from engine.reranking.models import RerankerModels
from engine.reranking.stand_in import StandIn
from engine.retrieval.embedders import open_embedder
from engine.retrieval.embedders.base import Embedder
from engine.retrieval.embedders.local import LocalEmbedder
from engine.retrieval.vector import SERVER_SETTINGS
from engine.settings import Settings
from engine.storage.database import Database
from engine.storage.embedded import embedded_postgres
from engine.storage.redis import RedisClient


async def open_database(
    stack: AsyncExitStack, settings: Settings, waited: Callable[[float], None] = lambda _: None
) -> Database:
    """The pool, on the embedded server where no other is given. waited: see Database.

    Nothing connects before it is used. Raises DatabaseUnavailable where there is no embedded server.
    """
    url = settings.database_url
    if not url:
        folder = settings.dossier_home.expanduser() / "postgres"
        url = await stack.enter_async_context(embedded_postgres(folder))
    database = Database(
        url,
        schema=settings.database_schema,
        pool_size=settings.database_pool_size,
        pool_timeout_seconds=settings.database_pool_timeout_seconds,
        statement_timeout_seconds=settings.database_statement_timeout_seconds,
        pooled_url=settings.pgbouncer_url if settings.use_pgbouncer else "",
        server_settings=SERVER_SETTINGS,
        waited=waited,
    )
    stack.push_async_callback(database.aclose)
    return database


def load_embedder(stack: AsyncExitStack, settings: Settings, home: Path) -> asyncio.Task[Embedder]:
    """The embedder, once its model is loaded; the task raises as `open_embedder` does."""
    opening = open_embedder(settings.embedder, embedder_options(settings, home))
    loading = asyncio.create_task(opening, name="embedder")

    async def close() -> None:
        loading.cancel()  # one that is not awaited any more, since something else failed
        with contextlib.suppress(asyncio.CancelledError, DossierError):
            await (await loading).aclose()

    stack.push_async_callback(close)
    return loading


@dataclass(frozen=True, slots=True)
class Entrance:
    """Who can come in, and how."""

    access: Access
    accounts: AccountStore
    keys: KeyStore
    sign_ins: SignIns
    collections: CollectionStore
    audit: Audit
    queue: FairQueue
    rate: QuestionRate

    async def prune(self, audit_days: int) -> None:
        """Remove sign-ins that have ended and audit events older than that. Raises DatabaseUnavailable."""
        await self.audit.prune(audit_days)
        await self.sign_ins.prune()


def open_entrance(settings: Settings, database: Database, access: Access) -> Entrance:
    """Accounts and what they show to come in."""
    passwords = Passwords()
    sign_ins = SignIns(
        database,
        passwords,
        access,
        seconds=settings.sign_in_seconds,
        provided_role=settings.provided_role,
        provided_to=places(settings.provided_to),
    )
    accounts = AccountStore(database, access, passwords, sign_ins.forget)
    keys = KeyStore(database, access, sign_ins.forget)
    queue = FairQueue(settings.questions_at_once or os.cpu_count() or 1, access)
    collections = CollectionStore(database, access)
    limit = RateLimit(settings.rate_limit_requests_per_minute) if settings.rate_limit_enabled else None
    audit, rate = Audit(database, access), QuestionRate(limit, access)
    return Entrance(access, accounts, keys, sign_ins, collections, audit, queue, rate)


def open_exporter(stack: AsyncExitStack, settings: Settings) -> list[Listener]:
    """Who sends traces to a collector, where one is given."""
    if not settings.otlp_endpoint:
        return []
    from engine.observability.otlp import OtlpTraces  # half a second that others do without

    exporter = OtlpTraces(settings.otlp_endpoint, parse_headers(settings.otlp_headers.get_secret_value()))
    stack.push_async_callback(exporter.aclose)
    return [exporter]


async def open_redis(stack: AsyncExitStack, settings: Settings) -> RedisClient | None:
    """The client that cache and sessions share, where one of them asks for it."""
    if not (settings.enable_redis_cache or settings.enable_redis_sessions):
        return None
    redis = RedisClient(settings.redis_url.get_secret_value(), timeout_seconds=settings.redis_timeout_seconds)
    stack.push_async_callback(redis.aclose)
    await redis.connect()
    return redis


def open_hot_copy(stack: AsyncExitStack, settings: Settings, redis: RedisClient | None) -> HotCopy | None:
    """The copy of sessions in Redis, where it is asked for."""
    if redis is None or not settings.enable_redis_sessions:
        return None
    hot = HotCopy(
        redis,
        schema=settings.database_schema,
        seconds=settings.session_ttl_seconds,
        max_turns=settings.session_max_messages,
    )
    stack.push_async_callback(hot.aclose)
    return hot


def open_language_model(
    stack: AsyncExitStack, settings: Settings
) -> tuple[LanguageModel, Answerer] | tuple[None, None]:
    """The language model and its answerer, where a key or an endpoint of one's own is given."""
    key = settings.openai_api_key.get_secret_value()
    if not key and not settings.openai_base_url:
        return None, None
    model = LanguageModel(
        model=settings.openai_model,
        api_key=key or "none",  # local endpoints ask for none, the client insists on one
        base_url=settings.openai_base_url or None,
        timeout_seconds=settings.openai_timeout_seconds,
        max_retries=settings.openai_max_retries,
    )
    stack.push_async_callback(model.aclose)
    return model, LanguageModelAnswerer(model)


def open_rerankers(
    stack: AsyncExitStack, parts: RerankerParts, metrics: Metrics
) -> dict[str, Reranker | None]:
    """All rerankers by name; where one cannot serve, the built-in one does. No model is loaded yet."""
    opened: dict[str, Reranker | None] = {}
    parts = replace(parts, find=opened.get)
    for name, make in RERANKERS.items():
        if (reranker := make(parts)) is not None:
            stack.push_async_callback(reranker.aclose)
            if name not in (BUILT_IN, CASCADE):
                reranker = StandIn(reranker, lambda: opened.get(BUILT_IN))
            reranker = MeasuredReranker(reranker, metrics, RERANKERS)
        opened[name] = reranker
    return opened


def reloadable(
    embedder: Embedder, rerankers: Mapping[str, Reranker | None], models: RerankerModels
) -> dict[str, Reload]:
    """How to load those models anew that this process holds, and wait for it."""

    async def reload(name: str) -> None:
        await models.reload(name)
        if (state := await models.loaded(name)).status == "failed":
            raise ModelUnavailable(state.why)

    found: dict[str, Reload] = {}
    if isinstance(embedder, LocalEmbedder):
        found[f"embedder {embedder.name}"] = embedder.reload
    for name in models.names():
        if (reranker := rerankers[name]) is not None and reranker.state().status != "idle":
            found[f"reranker {name}"] = partial(reload, name)
    return found
