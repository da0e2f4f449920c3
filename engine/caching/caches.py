"""Everything that Dossier caches, and the layers it is cached in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from engine.answering.base import Quoted
from engine.caching.base import CacheLayer, LayerCounts, LayerUsage
from engine.caching.codecs import EMBEDDING, QUOTED, RETRIEVAL
from engine.caching.layered import Codec, LayeredCache
from engine.caching.memory import MemoryLayer
from engine.caching.postgres import PostgresLayer
from engine.caching.redis import RedisLayer
from engine.caching.semantic import SemanticCache
from engine.errors import BadInput
from engine.retrieval.embedders.base import Embedding
from engine.retrieval.model import Retrieval
from engine.settings import Settings
from engine.storage.database import Database
from engine.storage.redis import RedisClient

LAYERS = ("L1", "L2", "L3")


@dataclass(frozen=True, slots=True)
class LayerReport:
    """One layer: what it counted since the start, and what it holds (None: cannot be asked)."""

    name: str
    counts: LayerCounts
    usage: LayerUsage | None


class Caches:
    """Question embeddings, retrieval results and quoted answers."""

    def __init__(self, settings: Settings, database: Database, redis: RedisClient | None) -> None:
        self._shared: list[CacheLayer] = []
        if redis is not None and settings.enable_redis_cache:
            self._shared.append(RedisLayer(redis, f"dossier:cache:{settings.database_schema}:"))
        self._lasting = None
        if settings.enable_postgres_cache:
            self._lasting = PostgresLayer(database, settings.l3_cache_max_bytes)
            self._shared.append(self._lasting)
        self.semantic = (
            SemanticCache(questions=settings.l1_cache_maxsize, threshold=settings.semantic_cache_threshold)
            if settings.enable_semantic_cache
            else None
        )
        # Of the room in memory results take most: they hold the passages' texts.
        self.embeddings: LayeredCache[Embedding] = self._cache(
            "question embedding", EMBEDDING, settings, 0.2, settings.cache_ttl_embeddings
        )
        self.results: LayeredCache[Retrieval] = self._cache(
            "retrieval",
            RETRIEVAL,
            settings,
            0.6,
            settings.cache_ttl_retrieval,
            keep=lambda retrieval: not retrieval.notice,
        )
        self.quotes: LayeredCache[Quoted] = self._cache(
            "answer",
            QUOTED,
            settings,
            0.2,
            settings.cache_ttl_retrieval,
            keep=lambda quoted: quoted.whole and not quoted.draft.notice,
        )

    def _cache(
        self,
        name: str,
        codec: Codec[Any],
        settings: Settings,
        share: float,
        seconds: float,
        keep: Callable[[Any], bool] = lambda _: True,
    ) -> LayeredCache[Any]:
        memory: MemoryLayer[Any] = MemoryLayer(
            maxsize=settings.l1_cache_maxsize,
            max_bytes=int(settings.l1_cache_max_bytes * share),
            size=codec.size,
        )
        return LayeredCache(
            name,
            codec,
            memory,
            self._shared,
            seconds=seconds,
            keep=keep,
        )

    @property
    def _all(self) -> tuple[LayeredCache[Any], ...]:
        return (self.embeddings, self.results, self.quotes)

    async def clear(self, layers: Sequence[str] = LAYERS) -> None:
        """Empty layers by name: L1 of this process; L2 and L3 for all. Raises BadInput."""
        if unknown := [name for name in layers if name not in LAYERS]:
            raise BadInput(
                f"There is no cache layer “{unknown[0]}”.", hint=f"Choose from: {', '.join(LAYERS)}."
            )
        await self.drain()
        if "L1" in layers:
            for cache in self._all:
                cache.clear()
        for layer in self._shared:
            if layer.name in layers:
                await layer.clear()

    async def report(self) -> list[LayerReport]:
        """All layers in use, L1 first."""
        memories = [cache.memory for cache in self._all]
        counts = LayerCounts()
        for own in (memory.counts for memory in memories):
            for name in ("hits", "misses", "errors", "writes", "evictions", "milliseconds"):
                setattr(counts, name, getattr(counts, name) + getattr(own, name))
            counts.latencies = [a + b for a, b in zip(counts.latencies, own.latencies, strict=True)]
        used = [memory.usage() for memory in memories]
        whole = LayerUsage(
            sum(u.entries for u in used), sum(u.bytes for u in used), sum(u.limit for u in used)
        )
        lower = [LayerReport(layer.name, layer.counts, await layer.usage()) for layer in self._shared]
        return [LayerReport("L1", counts, whole), *lower]

    async def drain(self) -> None:
        """Wait until what was computed is in the lower layers."""
        await asyncio.gather(*(cache.drain() for cache in self._all))

    async def prune(self) -> None:
        """Keep L3 within its bounds. Raises DatabaseUnavailable."""
        if self._lasting is not None:
            await self._lasting.prune()

    async def aclose(self) -> None:
        """Let writes under way end, for a second."""
        await asyncio.gather(*(cache.aclose() for cache in self._all))
