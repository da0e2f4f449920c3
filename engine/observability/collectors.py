"""What the pool, the cache and ingestion hold now, as a scrape shows it; asks nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import accumulate
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from engine.caching.base import BOUNDS
from engine.caching.caches import Caches
from engine.documents.ingestion import Ingestion
from engine.documents.jobs import FINISHED, FileStage, Job
from engine.storage.database import Database

JOB_STATES = ("running", "done", "failed", "cancelled")


class PoolCollector(Collector):
    """The pool of this process."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterable[Metric]:
        """size: connections open; limit: at most; waiting: tasks in the queue."""
        status = self._database.pool_status()
        connections = GaugeMetricFamily(
            "dossier_pool_connections",
            "Database connections of this process, and tasks that wait for one.",
            labels=["state"],
        )
        for state, value in {
            "size": status.in_use + status.idle,
            "in_use": status.in_use,
            "idle": status.idle,
            "waiting": status.waiting,
            "limit": status.size,
        }.items():
            connections.add_metric([state], value)
        return [
            connections,
            CounterMetricFamily(
                "dossier_pool_timeouts", "Waits for a connection given up.", value=status.timeouts_total
            ),
            CounterMetricFamily(
                "dossier_pool_replaced",
                "Connections found broken and opened anew.",
                value=status.replaced_total,
            ),
        ]


class CacheCollector(Collector):
    """What the cache layers counted."""

    def __init__(self, caches: Caches) -> None:
        self._caches = caches

    def collect(self) -> Iterable[Metric]:
        """By layer; a look-up that a layer misses goes on to the next."""
        requests = CounterMetricFamily(
            "dossier_cache_requests", "Look-ups by what came of them.", labels=["layer", "result"]
        )
        seconds = HistogramMetricFamily("dossier_cache_seconds", "Times of look-ups.", labels=["layer"])
        evictions = CounterMetricFamily(
            "dossier_cache_evictions", "Entries that had to make room.", labels=["layer"]
        )
        for layer, counts in self._caches.counts().items():
            for result, value in (
                ("hit", counts.hits),
                ("miss", counts.misses),
                ("error", counts.errors),
            ):
                requests.add_metric([layer, result], value)
            bounds = [*(str(bound / 1000) for bound in BOUNDS), "+Inf"]
            buckets = list(zip(bounds, accumulate(counts.latencies), strict=True))
            seconds.add_metric([layer], buckets, counts.milliseconds / 1000)
            evictions.add_metric([layer], counts.evictions)
        found: list[Metric] = [requests, seconds, evictions]
        if self._caches.semantic is not None:
            found.append(
                CounterMetricFamily(
                    "dossier_semantic_cache_hits",
                    "Questions served as an earlier one that is nearly the same.",
                    value=self._caches.semantic.hits,
                )
            )
        return found


class IngestionCollector(Collector):
    """The jobs that ingestion remembers, and their files."""

    def __init__(self, ingestion: Ingestion) -> None:
        self._ingestion = ingestion

    def collect(self) -> Iterable[Metric]:
        """Jobs by state; files of running jobs by stage."""
        jobs = GaugeMetricFamily(
            "dossier_ingestion_jobs", "Uploads that run, and the latest that have ended.", labels=["state"]
        )
        files = GaugeMetricFamily(
            "dossier_ingestion_files", "Files of running uploads by stage.", labels=["stage"]
        )
        known = self._ingestion.snapshots()
        states = Counter(_state(job) for job in known)
        stages = Counter(file.stage for job in known if not job.finished for file in job.files)
        for state in JOB_STATES:
            jobs.add_metric([state], states[state])
        for stage in get_args(FileStage):
            if stage not in FINISHED:
                files.add_metric([stage], stages[stage])
        return [jobs, files]


def _state(job: Job) -> str:
    if not job.finished:
        return "running"
    stages = {file.stage for file in job.files}
    return next((state for state in ("cancelled", "failed") if state in stages), "done")
