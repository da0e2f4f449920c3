"""What one question took: stages, waits and cache look-ups, gathered as it runs.

The current span follows the task (a context variable), so that a pool or a cache can note its
part without being handed one. Outside a trace, notes go nowhere. Spans are plain objects: they
become OpenTelemetry's only where they are exported, which keeps a question's own cost at some
microseconds a span.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Callable
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from time import perf_counter
from types import TracebackType
from typing import Any

from engine.answering.model import StageTiming
from engine.errors import DossierError

MOST_SPANS = 200  # of one trace; what comes after them is only counted

_current: ContextVar[Span | None] = ContextVar("span", default=None)
_W3C = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


class Span:
    """One piece of work within a trace; use it in a `with`. Times as time.perf_counter has them."""

    __slots__ = ("_is_stage", "_token", "attributes", "ended", "name", "parent", "started", "trace")

    def __init__(
        self,
        trace: Trace,
        name: str,
        parent: Span | None,
        attributes: dict[str, Any],
        is_stage: bool = False,
    ) -> None:
        self.trace = trace
        self.name = name
        self.parent = parent
        self.attributes = attributes
        self.ended: float | None = None
        self._is_stage = is_stage
        self._token: Token[Span | None] | None = None
        if len(trace.spans) < MOST_SPANS:
            trace.spans.append(self)
        else:
            trace.dropped += 1
        self.started = perf_counter()

    def set(self, **attributes: Any) -> None:
        """Note more about it; texts of users or documents do not belong here."""
        self.attributes.update(attributes)

    def mark(self, name: str) -> None:
        """Note the milliseconds that have passed, the first time it is called."""
        if name not in self.attributes:
            self.attributes[name] = (perf_counter() - self.started) * 1000

    def end(self, error: BaseException | None = None) -> None:
        """For a span that was begun and not entered; only the first call counts."""
        if self.ended is not None:
            return
        self.ended = perf_counter()
        if error is not None:
            self.attributes["error"] = type(error).__name__
        if self._is_stage:
            stages = self.trace.stages
            stages[self.name] = stages.get(self.name, 0.0) + (self.ended - self.started) * 1000

    def __enter__(self) -> Span:
        self._token = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._token is not None:
            try:  # noqa: SIM105 - runs for every span
                _current.reset(self._token)
            except ValueError:  # closed by another task than the one that entered it
                pass
        self.end(error)


class _Nowhere:
    """Stands for a span where nothing is traced."""

    __slots__ = ()

    def set(self, **attributes: Any) -> None: ...

    def mark(self, name: str) -> None: ...

    def end(self, error: BaseException | None = None) -> None: ...

    def __enter__(self) -> _Nowhere:
        return self

    def __exit__(self, *_: object) -> None: ...


NOWHERE = _Nowhere()
AnySpan = Span | _Nowhere


@dataclass(slots=True, eq=False)
class Trace:
    """Times in milliseconds. `cache` maps what was looked up to the layer that had it.

    kind: of the answer, or ``stopped``, ``failed``. error: see `error_kind`; empty if all went well.
    id, parent_id: as W3C trace context has them, 128 and 64 bits. began: seconds of the epoch.
    dropped: spans beyond MOST_SPANS. asked_by: id of the principal, with access control.
    """

    question: str = ""
    mode: str = ""
    kind: str = ""
    error: str = ""
    id: int = field(default_factory=lambda: random.getrandbits(128) or 1)
    parent_id: int = 0
    began: float = field(default_factory=time.time)
    started: float = field(default_factory=perf_counter)
    ended: float | None = None
    stages: dict[str, float] = field(default_factory=dict)
    pool_wait_ms: float = 0.0
    cache: dict[str, str] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = 0.0  # None once a price was not known
    spans: list[Span] = field(default_factory=list)
    dropped: int = 0
    asked_by: str = ""

    @property
    def total_ms(self) -> float:
        return ((self.ended or perf_counter()) - self.started) * 1000

    def timings(self) -> tuple[StageTiming, ...]:
        return tuple(StageTiming(name, round(spent, 2)) for name, spent in self.stages.items())


class Origin:
    """The page or route in which a question is asked: the first span of its trace; use it in a `with`.

    traceparent: the caller's W3C header. started: where it began earlier, by time.perf_counter.
    """

    __slots__ = ("_token", "finish", "left", "span_name", "started", "traceparent")

    def __init__(self, name: str, *, traceparent: str = "", started: float | None = None) -> None:
        self.span_name = name
        self.traceparent = traceparent
        self.started = perf_counter() if started is None else started
        self.finish: Callable[[], None] | None = None  # of the trace that took it
        self.left = False

    def __enter__(self) -> None:
        self._token = _origin.set(self)

    def __exit__(self, *_: object) -> None:
        _origin.reset(self._token)
        self.left = True
        if self.finish is not None:
            self.finish()


_origin: ContextVar[Origin | None] = ContextVar("origin", default=None)


class Tracing:
    """Makes a new trace the current one, in a `with`. told: of it, once it has ended."""

    __slots__ = ("_came_from", "_outer", "_span", "_token", "_told", "trace")

    def __init__(self, trace: Trace, told: Callable[[Trace], None] | None = None) -> None:
        self.trace = trace
        self._told = told
        came_from = _origin.get()
        self._came_from = came_from if came_from is not None and came_from.finish is None else None
        self._outer = None if self._came_from is None else _begun_by(self._came_from, trace)

    def __enter__(self) -> Trace:
        trace = self.trace
        told = {"mode": trace.mode, "characters": len(trace.question)}
        self._span = Span(trace, "question", self._outer, told)
        self._token = _current.set(self._span)
        return trace

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        trace, span, came_from = self.trace, self._span, self._came_from
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            trace.kind = "stopped"
        elif error is not None:
            trace.kind, trace.error = "failed", error_kind(error)
        _current.reset(self._token)
        span.attributes["kind"] = trace.kind
        span.end(error)
        trace.ended = span.ended
        if came_from is not None and not came_from.left:
            came_from.finish = self._finish  # the page or route still has to deliver it
        else:
            self._finish()

    def _finish(self) -> None:
        if self._outer is not None:
            self._outer.end()
        if self._told is not None:
            self._told(self.trace)


def tracing(question: str = "", mode: str = "") -> Tracing:
    """Trace what is done inside the `with`, for whoever holds the trace."""
    return Tracing(Trace(question, mode))


def _begun_by(came_from: Origin, trace: Trace) -> Span:
    """The origin's span, put first into the trace, which also takes its place in the caller's."""
    outer = Span(trace, came_from.span_name, None, {})
    outer.started = came_from.started
    if came_from.traceparent and (found := _W3C.fullmatch(came_from.traceparent.strip().lower())):
        trace.id, trace.parent_id = int(found[1], 16) or trace.id, int(found[2], 16)
    return outer


def error_kind(error: BaseException) -> str:
    """The error's class if the engine raises it on purpose, else ``fault``."""
    return type(error).__name__ if isinstance(error, DossierError) else "fault"


def stage(name: str) -> AnySpan:
    """Add the time spent inside to the current trace's stage of that name."""
    above = _current.get()
    return NOWHERE if above is None else Span(above.trace, name, above, {}, True)


def span(name: str, **attributes: Any) -> AnySpan:
    """A piece of work within the current stage.

    An async generator must not enter it, which would leave it current in its caller; it calls `end`.
    """
    above = _current.get()
    return NOWHERE if above is None else Span(above.trace, name, above, attributes)


def note_pool_wait(seconds: float) -> None:
    """Add to the time that the question waited for a database connection."""
    if (current := _current.get()) is not None:
        current.trace.pool_wait_ms += seconds * 1000


def note_statement(seconds: float) -> None:
    """Count a database statement, and its time, for the current span."""
    if (current := _current.get()) is not None:
        noted = current.attributes
        noted["statements"] = noted.get("statements", 0) + 1
        noted["statements_ms"] = noted.get("statements_ms", 0.0) + seconds * 1000


def note_cache(what: str, layer: str) -> None:
    """Note which layer served a look-up, for the current span, too; "miss" if none did."""
    if (current := _current.get()) is not None:
        current.trace.cache[what] = layer
        current.attributes[f"cache: {what}"] = layer


def note_model_use(prompt_tokens: int, completion_tokens: int, cost_usd: float | None) -> None:
    """Add what a language model's reply took."""
    if (current := _current.get()) is not None:
        trace = current.trace
        current.set(prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
        trace.prompt_tokens += prompt_tokens
        trace.completion_tokens += completion_tokens
        if trace.cost_usd is not None:
            trace.cost_usd = None if cost_usd is None else trace.cost_usd + cost_usd
