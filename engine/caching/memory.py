"""The in-process cache layer (L1): bounded, with a life for each entry, computing once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from cachetools import TTLCache

from engine.observability.trace import note_cache

Value = TypeVar("Value")


class MemoryCache(Generic[Value]):
    """Least recently used entries go first. Callers that miss the same key at once share one computation.

    name: what is cached, for traces. maxsize: entries; 0 keeps nothing. seconds: life of an entry.
    keep: whether a computed value is worth keeping (a degraded one is not).
    """

    def __init__(
        self, name: str, *, maxsize: int, seconds: float, keep: Callable[[Value], bool] = lambda _: True
    ) -> None:
        self.name = name
        self._keep = keep
        self._entries: TTLCache[Hashable, Value] = TTLCache(maxsize=max(maxsize, 1), ttl=seconds)
        self._off = maxsize == 0
        self._running: dict[Hashable, asyncio.Task[Value]] = {}
        self.hits = 0
        self.misses = 0

    async def get(self, key: Hashable, compute: Callable[[], Awaitable[Value]]) -> Value:
        """The cached value of `key`, else the one that `compute` gives. Errors are not cached."""
        if self._off:
            note_cache(self.name, "off")
            return await compute()
        if key in self._entries:
            self.hits += 1
            note_cache(self.name, "L1")
            return self._entries[key]
        running = self._running.get(key)
        if running is None:
            self.misses += 1
            note_cache(self.name, "miss")
            running = asyncio.ensure_future(self._fill(key, compute))
            self._running[key] = running
            running.add_done_callback(lambda _: self._running.pop(key, None))
        else:
            self.hits += 1
            note_cache(self.name, "L1")
        # A caller that gives up must not take the computation from the others.
        return await asyncio.shield(running)

    async def _fill(self, key: Hashable, compute: Callable[[], Awaitable[Value]]) -> Value:
        value = await compute()
        if self._keep(value):
            self._entries[key] = value
        return value

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        self._entries.clear()
