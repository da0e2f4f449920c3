"""The in-process cache layer (L1): bounded in entries and bytes, a life for each entry."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from cachetools import TLRUCache

from engine.caching.base import LayerCounts, LayerUsage

Value = TypeVar("Value")
_Entry = tuple[Value, float, int]  # value, end of life, bytes


class MemoryLayer(Generic[Value]):
    """Least recently used entries go first.

    maxsize: entries; 0 keeps nothing. max_bytes: of all values, by `size`.
    """

    name = "L1"

    def __init__(self, *, maxsize: int, max_bytes: int, size: Callable[[Value], int]) -> None:
        self.counts = LayerCounts()
        self._maxsize = maxsize
        self._max_bytes = max_bytes
        self._size = size
        self._entries: _Entries = _Entries(self.counts, max_bytes)

    def get(self, key: Hashable) -> Value | None:
        """The value, if it is there and alive."""
        with self.counts.timed():
            entry: _Entry[Value] | None = self._entries.get(key)
        if entry is None:
            self.counts.misses += 1
            return None
        self.counts.hits += 1
        return entry[0]

    def set(self, key: Hashable, value: Value, seconds: float) -> None:
        """Keep a value for so long. One larger than a quarter of the room is not kept."""
        size = self._size(value)
        if self._maxsize == 0 or size > self._max_bytes // 4:
            return
        self.counts.writes += 1
        self._entries[key] = (value, time.monotonic() + seconds, size)
        while len(self._entries) > self._maxsize:
            self._entries.popitem()

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()

    def usage(self) -> LayerUsage:
        """What it holds."""
        self._entries.expire()
        return LayerUsage(len(self._entries), int(self._entries.currsize), self._max_bytes)


class _Entries(TLRUCache[Hashable, Any]):
    """Counts what had to make room."""

    def __init__(self, counts: LayerCounts, max_bytes: int) -> None:
        super().__init__(
            max_bytes, ttu=lambda _key, entry, _now: entry[1], timer=time.monotonic, getsizeof=lambda e: e[2]
        )
        self._counts = counts

    def popitem(self) -> tuple[Hashable, Any]:
        self._counts.evictions += 1
        return super().popitem()
