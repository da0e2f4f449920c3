"""Rerankers, measured: a wrapper around the protocol, so that no reranker counts anything."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine.documents.model import Passage
from engine.errors import Unavailable
from engine.observability.metrics import Metrics
from engine.observability.trace import span
from engine.reranking.base import Reranker, RerankerState, Scores

NONE = "none"


class MeasuredReranker:
    """A Reranker that is `inner`, with its times, batches and fallbacks counted.

    names: of all rerankers, so that no other word becomes a label.
    """

    def __init__(self, inner: Reranker, metrics: Metrics, names: Iterable[str]) -> None:
        self.inner = inner
        self.name = inner.name
        self._names = frozenset(names)
        self._seconds = metrics.reranker_seconds.labels(inner.name)
        self._passages = metrics.reranker_passages.labels(inner.name)
        self._fallbacks = metrics.reranker_fallbacks

    @property
    def depth(self) -> int:
        """See Reranker."""
        return self.inner.depth

    async def score(self, question: str, passages: Sequence[Passage]) -> Scores:
        """See Reranker."""
        started = time.perf_counter()
        self._passages.observe(len(passages))
        with span("reranker", reranker=self.name, passages=len(passages)) as traced:
            try:
                scores = await self.inner.score(question, passages)
            except Unavailable:
                self._fallbacks.labels(self.name, NONE).inc()
                raise
            finally:
                self._seconds.observe(time.perf_counter() - started)
            traced.set(served_by=scores.served_by)
        if scores.served_by != self.name:
            instead = scores.served_by if scores.served_by in self._names else "other"
            self._fallbacks.labels(self.name, instead).inc()
        return scores

    def state(self) -> RerankerState:
        """See Reranker."""
        return self.inner.state()

    async def aclose(self) -> None:
        """See Reranker."""
        await self.inner.aclose()


class RerankerCollector(Collector):
    """What rerankers hold now, from their `state`."""

    def __init__(self, rerankers: Mapping[str, Reranker | None]) -> None:
        self._rerankers = rerankers

    def collect(self) -> Iterable[Metric]:
        """Queues, memory and readiness; asks nobody."""
        waiting = GaugeMetricFamily(
            "dossier_reranker_waiting", "Passages that wait for the model.", labels=["reranker"]
        )
        memory = GaugeMetricFamily(
            "dossier_reranker_memory_bytes", "Memory of the loaded model.", labels=["reranker"]
        )
        ready = GaugeMetricFamily(
            "dossier_reranker_ready", "1 if it can serve now, or at its first use.", labels=["reranker"]
        )
        for name, reranker in self._rerankers.items():
            if reranker is None:
                continue
            state = reranker.state()
            waiting.add_metric([name], state.waiting)
            ready.add_metric([name], float(state.status in ("ready", "idle")))
            if state.memory_bytes is not None:
                memory.add_metric([name], state.memory_bytes)
        return [waiting, memory, ready]
