"""What is measured for as long as an engine is open."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from engine.caching.caches import Caches
from engine.documents.ingestion import Ingestion
from engine.observability import servers
from engine.observability.collectors import CacheCollector, IngestionCollector, PoolCollector
from engine.observability.event_loop import measure_loop
from engine.observability.history import History
from engine.observability.machine import MachineCollector
from engine.observability.metrics import Metrics
from engine.observability.rerankers import RerankerCollector
from engine.reranking.base import Reranker
from engine.storage.database import Database
from engine.storage.pgbouncer import PgBouncerConsole
from engine.storage.redis import RedisClient


@asynccontextmanager
async def watching(
    metrics: Metrics,
    *,
    database: Database,
    caches: Caches,
    ingestion: Ingestion,
    rerankers: Mapping[str, Reranker | None],
    pgbouncer: PgBouncerConsole | None,
    redis: RedisClient | None,
) -> AsyncIterator[History]:
    """Show the parts in `metrics`, measure the event loop, and keep what is measured.

    pgbouncer, redis: None where they are not asked for; then they have no series at all.
    """
    fast = (PoolCollector(database), IngestionCollector(ingestion), RerankerCollector(rerankers))
    metrics.add(*fast, CacheCollector(caches), MachineCollector())
    metrics.add_remote(servers.postgres(database), servers.cache_usage(caches))
    if pgbouncer is not None:
        metrics.add_remote(servers.pgbouncer(pgbouncer))
    if redis is not None:
        metrics.add_remote(servers.redis(redis))
    history = History(database, metrics, (*fast, metrics.in_flight))
    tasks = [
        asyncio.create_task(measure_loop(metrics.loop_lag.observe, metrics.loop_busy.inc), name="event loop"),
        asyncio.create_task(history.run(), name="metrics history"),
        asyncio.create_task(metrics.refresh(), name="first look at the servers"),
    ]
    try:
        yield history
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await metrics.aclose()
