"""The in-process cache layer (L1): bounded in entries and bytes, a life for each entry."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Generic, TypeVar

from cachetools import TLRUCache

from engine.caching.base import LayerCounts, LayerUsage

Value = TypeVar("Value")
Share = Callable[[Value, Callable[[Any], Any]], Value]


class _Held:
    """A part, its bytes, and how many entries have it."""

    __slots__ = ("entries", "part", "size")

    def __init__(self, part: Any, size: int) -> None:
        self.part = part
        self.size = size
        self.entries = 0


# value, end of life, bytes of its own, parts
_Entry = tuple[Value, float, int, list[_Held]]


def whole(value: Value, _one: Callable[[Any], Any]) -> Value:
    """A value that shares nothing."""
    return value


class MemoryLayer(Generic[Value]):
    """Least recently used entries go first.

    maxsize: entries; 0 keeps nothing. max_bytes: of all values, by `size`.
    share: gives a value in which each part that equal values may have too is replaced by `one` of it;
        such parts are held, and counted by `part_size`, once for all entries.
    """

    name = "L1"

    def __init__(
        self,
        *,
        maxsize: int,
        max_bytes: int,
        size: Callable[[Value], int],
        share: Share[Value] = whole,
        part_size: Callable[[Any], int] = lambda _: 0,
    ) -> None:
        self.counts = LayerCounts()
        self._maxsize = maxsize
        self._max_bytes = max_bytes
        self._size = size
        self._share = share
        self._parts = _Parts(part_size)
        self._entries: _Entries = _Entries(self.counts, self._parts, max_bytes)

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
        parts: list[_Held] = []

        def one(part: Any) -> Any:
            parts.append(held := self._parts.hold(part))
            return held.part

        if self._maxsize == 0:
            return
        value = self._share(value, one)
        size = self._size(value)
        if seconds <= 0 or size + sum(held.size for held in parts) > self._max_bytes // 4:
            self._parts.release(parts)
            return
        if (earlier := self._entries.pop(key, None)) is not None:
            self._parts.release(earlier[3])
        self.counts.writes += 1
        self._entries[key] = (value, time.monotonic() + seconds, size, parts)
        while len(self._entries) > self._maxsize or self._bytes() > self._max_bytes:
            self._entries.popitem()

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._parts.clear()

    def usage(self) -> LayerUsage:
        """What it holds."""
        self._entries.expire()
        return LayerUsage(len(self._entries), self._bytes(), self._max_bytes)

    def _bytes(self) -> int:
        return int(self._entries.currsize) + self._parts.bytes


class _Parts:
    """What entries have in common. bytes: of all that are held."""

    def __init__(self, size: Callable[[Any], int]) -> None:
        self.bytes = 0
        self._size = size
        self._held: dict[Any, _Held] = {}

    def hold(self, part: Any) -> _Held:
        """The one that is kept of all that are equal."""
        held = self._held.get(part)
        if held is None:
            held = self._held[part] = _Held(part, self._size(part))
            self.bytes += held.size
        held.entries += 1
        return held

    def release(self, parts: Iterable[_Held]) -> None:
        """An entry has gone."""
        for held in parts:
            held.entries -= 1
            if not held.entries:
                del self._held[held.part]
                self.bytes -= held.size

    def clear(self) -> None:
        self._held.clear()
        self.bytes = 0


class _Entries(TLRUCache[Hashable, Any]):
    """Counts what had to make room."""

    def __init__(self, counts: LayerCounts, parts: _Parts, max_bytes: int) -> None:
        super().__init__(
            max_bytes, ttu=lambda _key, entry, _now: entry[1], timer=time.monotonic, getsizeof=lambda e: e[2]
        )
        self._counts = counts
        self._parts = parts

    def popitem(self) -> tuple[Hashable, Any]:
        self._counts.evictions += 1
        key, entry = super().popitem()
        self._parts.release(entry[3])
        return key, entry

    def expire(self, time: float | None = None) -> list[tuple[Hashable, Any]]:
        expired = list(super().expire(time))
        for _, entry in expired:
            self._parts.release(entry[3])
        return expired
