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
from engine.observability.event_loop import measure_lag
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
) -> AsyncIterator[None]:
    """Show the parts in `metrics`, and measure the event loop.

    pgbouncer, redis: None where they are not asked for; then they have no series at all.
    """
    metrics.add(
        PoolCollector(database),
        CacheCollector(caches),
        IngestionCollector(ingestion),
        RerankerCollector(rerankers),
    )
    metrics.add_remote(servers.postgres(database), servers.cache_usage(caches))
    if pgbouncer is not None:
        metrics.add_remote(servers.pgbouncer(pgbouncer))
    if redis is not None:
        metrics.add_remote(servers.redis(redis))
    tasks = [
        asyncio.create_task(measure_lag(metrics.loop_lag.observe), name="event loop lag"),
        asyncio.create_task(metrics.refresh(), name="first look at the servers"),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await metrics.aclose()
