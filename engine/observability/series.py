"""Metrics over time: what grew and what stood where, by the names that a scrape shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from prometheus_client.core import Metric
from prometheus_client.utils import floatToGoString
from pydantic import TypeAdapter

# What is kept of a scrape: families that the operations page draws, their labels from closed sets.
FAMILIES = frozenset(
    {
        "dossier_questions",
        "dossier_questions_in_flight",
        "dossier_question_seconds",
        "dossier_stage_seconds",
        "dossier_errors",
        "dossier_pool_connections",
        "dossier_pool_wait_seconds",
        "dossier_pool_timeouts",
        "dossier_cache_requests",
        "dossier_cache_bytes",
        "dossier_reranker_batch_passages",
        "dossier_reranker_seconds",
        "dossier_reranker_waiting",
        "dossier_reranker_memory_bytes",
        "dossier_event_loop_lag_seconds",
        "dossier_event_loop_busy_seconds",
        "dossier_ingestion_files",
        "dossier_machine_cpu_seconds",
        "dossier_machine_cores",
        "dossier_machine_memory_bytes",
        "dossier_database_up",
        "dossier_pgbouncer_up",
        "dossier_pgbouncer_clients",
        "dossier_pgbouncer_servers",
        "dossier_pgbouncer_maxwait_seconds",
        "dossier_redis_up",
        "dossier_redis_memory_bytes",
        "process_resident_memory_bytes",
        "process_cpu_seconds",
    }
)


@dataclass(slots=True)
class Bucket:
    """One stretch of time of one process.

    counts: by series, how much a counter grew; none where it did not. gauges: by series, the sum
    of the values seen, how many were seen, and the highest.
    """

    counts: dict[str, float] = field(default_factory=dict)
    gauges: dict[str, tuple[float, int, float]] = field(default_factory=dict)

    def see(self, values: Mapping[str, float]) -> None:
        """Add one look at gauges."""
        for series, value in values.items():
            total, looks, highest = self.gauges.get(series, (0.0, 0, value))
            self.gauges[series] = total + value, looks + 1, max(highest, value)

    def add(self, other: Bucket) -> None:
        """Add another stretch of the same process."""
        for series, grown in other.counts.items():
            self.counts[series] = self.counts.get(series, 0.0) + grown
        for series, (more, looks, most) in other.gauges.items():
            total, before, highest = self.gauges.get(series, (0.0, 0, most))
            self.gauges[series] = total + more, before + looks, max(highest, most)


BUCKET: TypeAdapter[Bucket] = TypeAdapter(Bucket)


def name(family: str, **labels: str) -> str:
    """A series as it is kept: ``family{label=value}``, its labels in order."""
    if not labels:
        return family
    return f"{family}{{{','.join(f'{label}={labels[label]}' for label in sorted(labels))}}}"


def flatten(metrics: Iterable[Metric]) -> tuple[dict[str, float], dict[str, float]]:
    """Counters and gauges of FAMILIES by series; a histogram is its buckets, its count and its sum."""
    counters: dict[str, float] = {}
    gauges: dict[str, float] = {}
    for metric in metrics:
        if metric.name in FAMILIES:
            into = gauges if metric.type == "gauge" else counters
            for sample in metric.samples:
                into[name(sample.name, **sample.labels)] = sample.value
    return counters, gauges


@dataclass(frozen=True, slots=True)
class Recorded:
    """Metrics of some time, in equal steps; None where nothing was recorded.

    times: where each step begins. seconds: how long each is; the last may be under way.
    processes: their steps, each in the order of `times`. notice: what the reader should know.
    """

    times: tuple[datetime, ...]
    seconds: tuple[float, ...]
    processes: Mapping[str, Sequence[Bucket | None]]
    notice: str = ""

    def of(self, process: str) -> Recorded:
        """One process alone."""
        return Recorded(self.times, self.seconds, {process: self.processes.get(process, ())}, self.notice)

    def until(self) -> datetime:
        """Where the last step ends."""
        return self.times[-1] + timedelta(seconds=self.seconds[-1])

    def names(self, family: str) -> list[str]:
        """Series of a family that occur, in order."""
        return sorted(
            {
                series
                for steps in self.processes.values()
                for step in steps
                if step is not None
                for series in (*step.counts, *step.gauges)
                if series == family or series.startswith(family + "{")
            }
        )

    def grown(self, series: str, *, shared: bool = False) -> list[float | None]:
        """By how much a counter grew in each step; shared: see `level`."""
        sums = ([bucket.counts.get(series, 0.0) for bucket in there] for there in self._steps())
        return [(max(grown) if shared else sum(grown)) if grown else None for grown in sums]

    def rate(self, series: str) -> list[float | None]:
        """How much a counter grew a second."""
        return [
            None if grown is None else grown / seconds
            for grown, seconds in zip(self.grown(series), self.seconds, strict=True)
        ]

    def level(self, series: str, *, highest: bool = False, shared: bool = False) -> list[float | None]:
        """Where a gauge stood: its mean, or the highest seen.

        Processes are added up; shared: all of them saw the same thing, so it counts once.
        """
        levels: list[float | None] = []
        for there in self._steps():
            seen = [bucket.gauges[series] for bucket in there if series in bucket.gauges]
            values = [most if highest else total / looks for total, looks, most in seen]
            levels.append((max(values) if shared else sum(values)) if values else None)
        return levels

    def quantile(self, family: str, bounds: Sequence[float], share: float) -> list[float | None]:
        """The value below which that share of a histogram's observations lies, by interpolation
        within its bucket, as Prometheus' histogram_quantile does; None where there are none.

        bounds: the upper ones of the buckets, without the last, which has none.
        """
        bounds = [*bounds, math.inf]
        names = [name(f"{family}_bucket", le=_written(bound)) for bound in bounds]
        return [
            _quantile(bounds, [sum(bucket.counts.get(one, 0.0) for bucket in there) for one in names], share)
            for there in self._steps()
        ]

    def _steps(self) -> Iterable[list[Bucket]]:
        for place in range(len(self.times)):
            steps = (own[place] for own in self.processes.values() if place < len(own))
            yield [bucket for bucket in steps if bucket is not None]


def _quantile(bounds: Sequence[float], up_to: Sequence[float], share: float) -> float | None:
    if not up_to or not up_to[-1]:
        return None
    rank = share * up_to[-1]
    below = low = 0.0
    for bound, count in zip(bounds, up_to, strict=True):
        if count >= rank and count > below:
            return low if bound == math.inf else low + (bound - low) * (rank - below) / (count - below)
        below, low = max(below, count), bound
    return low


def _written(bound: float) -> str:
    return str(floatToGoString(bound))  # type: ignore[no-untyped-call]
