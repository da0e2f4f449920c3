"""Prometheus metrics of one process: counted where things happen, read where they are kept.

What costs a look at a server (PostgreSQL, Redis, pgBouncer) is never read by the scrape itself:
`refresh` asks them all at once, within bounds, and the scrape shows what they said last.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from engine.answering.model import Mode
from engine.errors import DossierError
from engine.observability.event_loop import running_tasks
from engine.observability.remote import Remote
from engine.observability.trace import Trace

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
SCRAPE_WAITS_SECONDS = 0.02  # for what is being asked anew; what is late is seen by the next scrape

# Seconds. Half a millisecond for a cached stage, half a minute for a language model.
DURATIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30)
WAITS = (0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
LAGS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
PASSAGES = (1, 2, 5, 10, 20, 30, 50, 100, 200)


class Metrics:
    """One registry a process and engine; `registry` is what a scrape shows.

    Label values come from closed sets: nothing that a user types becomes one.
    """

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each counter
        self.registry = registry = CollectorRegistry()
        self._remotes: list[Remote] = []
        self.under_way = 0  # questions
        self._stages: dict[str, Histogram] = {}
        self.questions = Counter(
            "dossier_questions",
            "Questions by mode and what became of them: a kind of answer, stopped or failed.",
            ["mode", "kind"],
            registry=registry,
        )
        self.question_seconds = Histogram(
            "dossier_question_seconds",
            "From a question to its whole answer.",
            buckets=DURATIONS,
            registry=registry,
        )
        self.stage_seconds = Histogram(
            "dossier_stage_seconds",
            "What a stage of a question took in all.",
            ["stage"],
            buckets=DURATIONS,
            registry=registry,
        )
        self.errors = Counter(
            "dossier_errors",
            "Questions that failed, by the class of the error; fault is one that nobody expected.",
            ["kind"],
            registry=registry,
        )
        self.in_flight = Gauge(
            "dossier_questions_in_flight", "Questions being answered now.", registry=registry
        )
        self.in_flight.set_function(lambda: self.under_way)
        self.waiting = Gauge(
            "dossier_questions_waiting",
            "Questions in flight that wait until earlier ones are answered.",
            registry=registry,
        )
        self.pool_wait = Histogram(
            "dossier_pool_wait_seconds",
            "Wait for a database connection.",
            buckets=WAITS,
            registry=registry,
        )
        self.reranker_seconds = Histogram(
            "dossier_reranker_seconds",
            "From passages handed to a reranker to their scores.",
            ["reranker"],
            buckets=DURATIONS,
            registry=registry,
        )
        self.reranker_passages = Histogram(
            "dossier_reranker_batch_passages",
            "Passages handed to a reranker at once.",
            ["reranker"],
            buckets=PASSAGES,
            registry=registry,
        )
        self.reranker_fallbacks = Counter(
            "dossier_reranker_fallbacks",
            "Times that another reranker, or none, served instead of the one asked.",
            ["reranker", "instead"],
            registry=registry,
        )
        self.loop_lag = Histogram(
            "dossier_event_loop_lag_seconds",
            "How late the event loop is with a timer.",
            buckets=LAGS,
            registry=registry,
        )
        self.loop_busy = Counter(
            "dossier_event_loop_busy_seconds",
            "Processor time of the event loop's thread; at 1 a second it can do no more.",
            registry=registry,
        )
        tasks = Gauge(
            "dossier_event_loop_tasks",
            "Tasks of the event loop: steady while nobody asks.",
            registry=registry,
        )
        tasks.set_function(running_tasks)
        ProcessCollector(registry=registry)
        for kind in (*_children(DossierError), "fault"):  # a rate needs its zero
            self.errors.labels(kind)

    def begun(self) -> None:
        """A question begins."""
        self.under_way += 1

    def ended(self, trace: Trace) -> None:
        """A question has ended, in whatever way."""
        self.under_way -= 1
        kind = trace.kind or "failed"
        mode = trace.mode if trace.mode in get_args(Mode) else "other"
        self.questions.labels(mode, kind).inc()
        self.question_seconds.observe(trace.total_ms / 1000)
        for name, spent in trace.stages.items():
            if (stage := self._stages.get(name)) is None:
                stage = self._stages[name] = self.stage_seconds.labels(name)
            stage.observe(spent / 1000)
        if trace.error:
            self.errors.labels(trace.error).inc()

    def add(self, *collectors: Collector) -> None:
        """Show what these collect, too."""
        for collector in collectors:
            self.registry.register(collector)

    def add_remote(self, *remotes: Remote) -> None:
        """Show what these servers say; they are asked by `refresh`."""
        self._remotes += remotes
        self.add(*remotes)

    async def refresh(self) -> None:
        """Ask the servers whose last word is some seconds old. Raises nothing."""
        await asyncio.gather(*(remote.refresh() for remote in self._remotes))

    async def exposition(self) -> bytes:
        """What a scrape gets, in Prometheus' text format."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SCRAPE_WAITS_SECONDS):
                await self.refresh()
        return generate_latest(self.registry)

    async def aclose(self) -> None:
        """Ask no more."""
        await asyncio.gather(*(remote.aclose() for remote in self._remotes))


def _children(kind: type[DossierError]) -> Sequence[str]:
    return [name for child in kind.__subclasses__() for name in (child.__name__, *_children(child))]
