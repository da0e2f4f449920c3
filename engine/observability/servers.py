"""What the servers behind Dossier say of themselves: PostgreSQL, pgBouncer, Redis, cache layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from sqlalchemy import text

from engine.caching.caches import Caches
from engine.observability.remote import Remote
from engine.storage.database import Database
from engine.storage.pgbouncer import PgBouncerConsole
from engine.storage.redis import RedisClient

_POSTGRES = text(
    "SELECT (SELECT count(*) FROM documents WHERE deleted_at IS NULL) AS documents,"
    " (SELECT passage_count FROM corpus) AS passages,"
    " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,"
    " current_setting('max_connections')::int AS most,"
    " pg_database_size(current_database()) AS bytes"
)
_CLIENTS = {"active": "cl_active", "waiting": "cl_waiting"}
_SERVERS = {"active": "sv_active", "idle": "sv_idle", "used": "sv_used", "login": "sv_login"}
_STATS = {
    "queries": ("total_query_count", 1.0, "Statements through pgBouncer."),
    "transactions": ("total_xact_count", 1.0, "Transactions through pgBouncer."),
    "wait_seconds": ("total_wait_time", 1e-6, "Time that clients waited for a server."),
    "received_bytes": ("total_received", 1.0, "Bytes from clients."),
    "sent_bytes": ("total_sent", 1.0, "Bytes to clients."),
}
_REDIS = {
    "evicted_keys": ("evicted_keys", "Keys that had to make room."),
    "keyspace_hits": ("keyspace_hits", "Look-ups that found a key, of all clients."),
    "keyspace_misses": ("keyspace_misses", "Look-ups that found none, of all clients."),
    "commands": ("total_commands_processed", "Commands of all clients."),
}


def postgres(database: Database) -> Remote:
    """Corpus and server."""

    async def ask() -> Sequence[Metric]:
        async with database.read() as db:
            told = (await db.execute(_POSTGRES)).one()
        return [
            GaugeMetricFamily("dossier_documents", "Documents that can be found.", value=told.documents),
            GaugeMetricFamily("dossier_passages", "Passages that can be found.", value=told.passages),
            _labelled(
                "dossier_postgres_connections",
                "Connections to the server, of everybody, and how many it allows.",
                "state",
                {"open": told.connections, "limit": told.most},
            ),
            GaugeMetricFamily("dossier_database_bytes", "The database on disk.", value=told.bytes),
        ]

    return Remote("dossier_database_up", "PostgreSQL", ask)


def pgbouncer(console: PgBouncerConsole) -> Remote:
    """SHOW POOLS and SHOW STATS, for the pools of our database."""

    async def ask() -> Sequence[Metric]:
        pools, stats = (
            [row for row in rows if row["database"] == console.database]
            for rows in await console.show("POOLS", "STATS")
        )
        waits = [float(row["maxwait"]) + float(row.get("maxwait_us", 0)) / 1e6 for row in pools]
        found: list[Metric] = [
            _labelled(
                "dossier_pgbouncer_clients",
                "Connections of clients: with a server, and waiting for one.",
                "state",
                {state: _sum(pools, column) for state, column in _CLIENTS.items()},
            ),
            _labelled(
                "dossier_pgbouncer_servers",
                "Connections to PostgreSQL.",
                "state",
                {state: _sum(pools, column) for state, column in _SERVERS.items()},
            ),
            GaugeMetricFamily(
                "dossier_pgbouncer_maxwait_seconds",
                "How long the client that waits longest has waited.",
                value=max(waits, default=0.0),
            ),
        ]
        for name, (column, unit, what) in _STATS.items():
            found.append(
                CounterMetricFamily(f"dossier_pgbouncer_{name}", what, value=_sum(stats, column) * unit)
            )
        return found

    return Remote("dossier_pgbouncer_up", "pgBouncer", ask)


def redis(client: RedisClient) -> Remote:
    """INFO."""

    async def ask() -> Sequence[Metric]:
        told: Mapping[str, Any] = await client.run(lambda redis: redis.info())
        found: list[Metric] = [
            _labelled(
                "dossier_redis_memory_bytes",
                "Memory in use, and at most (0: without bound).",
                "kind",
                {"used": told["used_memory"], "max": told.get("maxmemory", 0)},
            ),
            GaugeMetricFamily("dossier_redis_clients", "Clients.", value=told["connected_clients"]),
        ]
        for name, (field, what) in _REDIS.items():
            found.append(CounterMetricFamily(f"dossier_redis_{name}", what, value=told.get(field, 0)))
        return found

    return Remote("dossier_redis_up", "Redis", ask)


def cache_usage(caches: Caches) -> Remote:
    """What the cache layers hold; a layer that cannot be asked is absent."""

    async def ask() -> Sequence[Metric]:
        held = {layer.name: layer.usage for layer in await caches.report() if layer.usage is not None}
        return [
            _labelled(
                "dossier_cache_bytes",
                "Bytes held; of L2 by the whole server.",
                "layer",
                {name: usage.bytes for name, usage in held.items()},
            ),
            _labelled(
                "dossier_cache_limit_bytes",
                "Bytes that may be held; 0 is without bound.",
                "layer",
                {name: usage.limit for name, usage in held.items()},
            ),
            _labelled(
                "dossier_cache_entries",
                "Entries held; of L2 by the whole server.",
                "layer",
                {name: usage.entries for name, usage in held.items()},
            ),
        ]

    return Remote("dossier_cache_up", "the cache", ask)


def _labelled(name: str, what: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, what, labels=[label])
    for value, number in values.items():
        family.add_metric([value], float(number))
    return family


def _sum(rows: Sequence[Mapping[str, Any]], column: str) -> float:
    return sum(float(row.get(column, 0)) for row in rows)
