"""What one question took: stages, waits and cache look-ups, gathered as it runs.

The current trace follows the task (a context variable), so that a pool or a cache can
note its part without being handed one. Outside a trace, notes go nowhere.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from engine.answering.model import StageTiming

_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


@dataclass(slots=True)
class Trace:
    """Times in milliseconds. `cache` maps what was looked up to the layer that had it."""

    started: float = field(default_factory=time.perf_counter)
    stages: dict[str, float] = field(default_factory=dict)
    pool_wait_ms: float = 0.0
    cache: dict[str, str] = field(default_factory=dict)

    @property
    def total_ms(self) -> float:
        return (time.perf_counter() - self.started) * 1000

    def timings(self) -> tuple[StageTiming, ...]:
        return tuple(StageTiming(name, round(spent, 2)) for name, spent in self.stages.items())


@contextmanager
def tracing() -> Iterator[Trace]:
    """Make a new trace the current one."""
    trace = Trace()
    token = _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(token)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Add the time spent inside to the current trace's stage of that name."""
    trace = _current.get()
    if trace is None:
        yield
        return
    started = time.perf_counter()
    try:
        yield
    finally:
        trace.stages[name] = trace.stages.get(name, 0.0) + (time.perf_counter() - started) * 1000


def note_pool_wait(seconds: float) -> None:
    """Add to the time that the question waited for a database connection."""
    if (trace := _current.get()) is not None:
        trace.pool_wait_ms += seconds * 1000


def note_cache(what: str, layer: str) -> None:
    """Note which layer served a look-up; "miss" if none did."""
    if (trace := _current.get()) is not None:
        trace.cache[what] = layer
