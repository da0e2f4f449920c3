"""The traces of the latest questions, and of the slowest of the last hour, in memory."""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from engine.access.principal import OPEN, Access, Principal
from engine.observability.trace import Span, Trace, Tracing

KEPT = 100
SLOWEST = 50
SLOWEST_SECONDS = 3600.0
ANOTHERS = "(another's question)"


class Listener(Protocol):
    """Is told of every question."""

    def begun(self) -> None: ...

    def ended(self, trace: Trace) -> None: ...


@dataclass(frozen=True, slots=True)
class RecordedSpan:
    """A piece of work. start_ms: since the trace began. depth: 0 for the outermost."""

    name: str
    start_ms: float
    duration_ms: float
    depth: int
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RecordedTrace:
    """One question that has ended. trace_id: 32 hexadecimal digits, as exported.

    kind: of the answer, or ``stopped``, ``failed``. error: class of what failed, or empty.
    spans: in the order they began, each after the one that it is part of.
    dropped: spans that there was no room for.
    """

    trace_id: str
    question: str
    mode: str
    kind: str
    error: str
    started: datetime
    total_ms: float
    pool_wait_ms: float
    stages: dict[str, float]
    cache: dict[str, str]
    spans: tuple[RecordedSpan, ...]
    dropped: int


class Traces:
    """Where questions are traced. listeners: metrics, exporters.

    An operator's; what others asked is not shown to them.
    """

    def __init__(self, listeners: Sequence[Listener] = (), access: Access = OPEN) -> None:
        self._access = access
        self._listeners = tuple(listeners)
        self._latest: deque[Trace] = deque(maxlen=KEPT)
        self._slowest: list[tuple[float, int, Trace]] = []  # a heap, the fastest of them first
        self._count = 0

    def question(self, question: str, mode: str) -> AbstractContextManager[Trace]:
        """Trace what is done inside the `with`."""
        asked_by = self._access.principal().id if self._access.on else ""
        for listener in self._listeners:
            listener.begun()
        return Tracing(Trace(question, mode, asked_by=asked_by), self._ended)

    def recent(self, limit: int = 20, *, slowest_first: bool = False) -> list[RecordedTrace]:
        """The latest first; or the slowest of the last hour first. Raises NotAllowed."""
        principal = self._access.require("operate") if self._access.on else None
        if slowest_first:
            self._forget()
            return [_recorded(trace, principal) for _, _, trace in heapq.nlargest(limit, self._slowest)]
        latest = list(self._latest)
        return [_recorded(trace, principal) for trace in latest[: -limit - 1 : -1]]

    def _ended(self, trace: Trace) -> None:
        self._latest.append(trace)
        self._count += 1
        if self._count % SLOWEST == 0:
            self._forget()
        entry = (trace.total_ms, self._count, trace)
        if len(self._slowest) < SLOWEST:
            heapq.heappush(self._slowest, entry)
        else:
            heapq.heappushpop(self._slowest, entry)
        for listener in self._listeners:
            listener.ended(trace)

    def _forget(self) -> None:
        oldest = time.time() - SLOWEST_SECONDS
        if any(trace.began < oldest for _, _, trace in self._slowest):
            self._slowest = [entry for entry in self._slowest if entry[2].began >= oldest]
            heapq.heapify(self._slowest)


def _recorded(trace: Trace, principal: Principal | None) -> RecordedTrace:
    own = principal is None or trace.asked_by == principal.id
    first = min((span.started for span in trace.spans), default=trace.started)
    spans = sorted(trace.spans, key=lambda span: span.started)
    return RecordedTrace(
        trace_id=f"{trace.id:032x}",
        question=trace.question if own else ANOTHERS,
        mode=trace.mode,
        kind=trace.kind,
        error=trace.error,
        started=datetime.fromtimestamp(trace.began, UTC),
        total_ms=round(trace.total_ms, 3),
        pool_wait_ms=round(trace.pool_wait_ms, 3),
        stages={name: round(spent, 3) for name, spent in trace.stages.items()},
        cache=dict(trace.cache),
        spans=tuple(_recorded_span(span, first, trace) for span in spans),
        dropped=trace.dropped,
    )


def _recorded_span(span: Span, first: float, trace: Trace) -> RecordedSpan:
    ended = span.ended or trace.ended or time.perf_counter()  # one that goes on has no end yet
    noted = span.attributes.copy()  # and may note more
    return RecordedSpan(
        name=span.name,
        start_ms=round((span.started - first) * 1000, 3),
        duration_ms=round((ended - span.started) * 1000, 3),
        depth=_depth(span),
        attributes={name: _rounded(value) for name, value in noted.items()},
    )


def _rounded(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value


def _depth(span: Span) -> int:
    depth = 0
    while span.parent is not None:
        span, depth = span.parent, depth + 1
    return depth
