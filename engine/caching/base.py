"""What a cache layer is, and what it counts."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

# Upper bounds, in milliseconds, of the counted latencies; the last bucket has none.
BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0)


@dataclass(slots=True)
class LayerCounts:
    """Since the process began. latencies: look-ups by BOUNDS. milliseconds: of all look-ups."""

    hits: int = 0
    misses: int = 0
    errors: int = 0
    writes: int = 0
    evictions: int = 0
    milliseconds: float = 0.0
    latencies: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))

    @property
    def hit_rate(self) -> float:
        """Share of look-ups that found something; 0 before the first."""
        return self.hits / max(1, self.hits + self.misses)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count the time of one look-up."""
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = (time.perf_counter() - started) * 1000
            self.milliseconds += spent
            self.latencies[bisect_left(BOUNDS, spent)] += 1


@dataclass(frozen=True, slots=True)
class LayerUsage:
    """What a layer holds now. bytes: as the layer counts them. limit: 0 where it has none."""

    entries: int
    bytes: int
    limit: int


class CacheLayer(Protocol):
    """Keeps bytes for a while. Never raises: a layer that cannot serve has nothing.

    name: ``L2`` or ``L3``.
    """

    name: str
    counts: LayerCounts

    async def get(self, key: str) -> bytes | None:
        """The value, if it is there and alive."""
        ...

    async def set(self, key: str, value: bytes, seconds: float) -> None:
        """Keep a value for so long, or less if room is short."""
        ...

    async def clear(self) -> bool:
        """Forget everything; False where that could not be done."""
        ...

    async def usage(self) -> LayerUsage | None:
        """What it holds; None while it cannot be asked."""
        ...
