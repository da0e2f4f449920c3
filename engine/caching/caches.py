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
from engine.storage.database import Database
from engine.storage.redis import RedisClient

LAYERS = ("L1", "L2", "L3")


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """What is cached where, and for how long (seconds).

    prefix: of Redis keys. l1_entries: of each kind of value; 0 keeps nothing.
    semantic_threshold: None leaves the semantic cache out.
    """

    prefix: str
    use_redis: bool
    use_postgres: bool
    l1_entries: int
    l1_bytes: int
    l3_bytes: int
    embedding_seconds: float
    retrieval_seconds: float
    semantic_threshold: float | None = None


@dataclass(frozen=True, slots=True)
class LayerReport:
    """One layer: what it counted since the start, and what it holds (None: cannot be asked)."""

    name: str
    counts: LayerCounts
    usage: LayerUsage | None


class Caches:
    """Question embeddings, retrieval results and quoted answers."""

    def __init__(self, options: CacheOptions, database: Database, redis: RedisClient | None) -> None:
        self._shared: list[CacheLayer] = []
        if redis is not None and options.use_redis:
            self._shared.append(RedisLayer(redis, options.prefix))
        self._lasting = None
        if options.use_postgres:
            self._lasting = PostgresLayer(database, options.l3_bytes)
            self._shared.append(self._lasting)
        self.semantic = None
        if options.semantic_threshold is not None:
            self.semantic = SemanticCache(questions=options.l1_entries, threshold=options.semantic_threshold)
        # Of the room in memory results take most: they hold the passages, each once.
        self.embeddings: LayeredCache[Embedding] = self._cache(
            "question embedding", EMBEDDING, options, 0.2, options.embedding_seconds
        )
        self.results: LayeredCache[Retrieval] = self._cache(
            "retrieval",
            RETRIEVAL,
            options,
            0.6,
            options.retrieval_seconds,
            keep=lambda retrieval: not retrieval.notice,
        )
        self.quotes: LayeredCache[Quoted] = self._cache(
            "answer",
            QUOTED,
            options,
            0.2,
            options.retrieval_seconds,
            keep=lambda quoted: quoted.whole and not quoted.draft.notice,
        )

    def _cache(
        self,
        name: str,
        codec: Codec[Any],
        options: CacheOptions,
        share: float,
        seconds: float,
        keep: Callable[[Any], bool] = lambda _: True,
    ) -> LayeredCache[Any]:
        memory: MemoryLayer[Any] = MemoryLayer(
            maxsize=options.l1_entries,
            max_bytes=int(options.l1_bytes * share),
            size=codec.size,
            share=codec.share,
            part_size=codec.part_size,
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

    async def clear(self, layers: Sequence[str] = LAYERS) -> dict[str, bool]:
        """Empty layers by name: L1 of this process; L2 and L3 for all.

        Returns whether it was done, for those of them in use. Raises BadInput.
        """
        if unknown := [name for name in layers if name not in LAYERS]:
            raise BadInput(
                f"There is no cache layer “{unknown[0]}”.", hint=f"Choose from: {', '.join(LAYERS)}."
            )
        await self.drain()
        done: dict[str, bool] = {}
        if "L1" in layers:
            for cache in self._all:
                cache.clear()
            done["L1"] = True
        for layer in self._shared:
            if layer.name in layers:
                done[layer.name] = await layer.clear()
        return done

    def counts(self) -> dict[str, LayerCounts]:
        """What each layer in use counted, L1 first; asks nobody."""
        counts = LayerCounts()
        for own in (cache.memory.counts for cache in self._all):
            for name in ("hits", "misses", "errors", "writes", "evictions", "milliseconds"):
                setattr(counts, name, getattr(counts, name) + getattr(own, name))
            counts.latencies = [a + b for a, b in zip(counts.latencies, own.latencies, strict=True)]
        return {"L1": counts} | {layer.name: layer.counts for layer in self._shared}

    async def report(self) -> list[LayerReport]:
        """All layers in use, L1 first."""
        counts = self.counts()["L1"]
        used = [cache.memory.usage() for cache in self._all]
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
