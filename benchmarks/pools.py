"""What the pool is worth: many tasks, each query on a connection of its own or on a pooled one.

    python -m benchmarks.pools [--tasks 200] [--queries 20] [--rounds 3] [--pool-size 10] [--json]

Every query takes a connection, looks one row up and gives the connection back. The four ways
take turns, round by round, on one embedded PostgreSQL of its own (120 connections at most) with
one pgBouncer before it, started by deploy/pgbouncer/start. NullPool is SQLAlchemy's, with the
settings that its manual gives for pgBouncer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from benchmarks.tables import percentiles, print_table
from engine.errors import DatabaseUnavailable
from engine.retrieval.vector import SERVER_SETTINGS
from engine.storage.database import Database
from engine.storage.embedded import embedded_postgres
from tests.storage.pgbouncer import running

ROWS = 10_000
LOOK_UP = text("SELECT word FROM words WHERE id = :id")
Acquire = Callable[[], AbstractAsyncContextManager[AsyncConnection]]


def without_pool(url: str, *, bounced: bool) -> Acquire:
    """A connection a query, as SQLAlchemy opens it."""
    for_pgbouncer = {
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
        "prepared_statement_name_func": lambda: f"__asyncpg_{uuid4()}__",
    }
    made = create_async_engine(url, poolclass=NullPool, connect_args=for_pgbouncer if bounced else {})

    @asynccontextmanager
    async def acquire() -> AsyncIterator[AsyncConnection]:
        async with made.connect() as db:
            yield db

    return acquire


async def load(acquire: Acquire, tasks: int, queries: int) -> dict[str, Any]:
    """Milliseconds of each query that succeeded, how many failed, and the seconds it took in all."""
    spent: list[float] = []
    failed: dict[str, int] = {}

    async def task(number: int) -> None:
        for query in range(queries):
            started = time.perf_counter()
            row = (number * queries + query) % ROWS
            try:
                async with acquire() as db:
                    assert (await db.execute(LOOK_UP, {"id": row})).scalar_one() == f"word {row}"
            except DatabaseUnavailable as error:
                failed[error.message] = failed.get(error.message, 0) + 1
            except Exception as error:  # whatever the driver says; it is counted, that is the point
                cause = getattr(error, "orig", error)
                name = type(cause.__cause__ or cause).__name__
                failed[name] = failed.get(name, 0) + 1
            else:
                spent.append((time.perf_counter() - started) * 1000)

    started = time.perf_counter()
    await asyncio.gather(*(task(number) for number in range(tasks)))
    return {"ms": spent, "failed": failed, "seconds": time.perf_counter() - started}


async def acquiring(acquire: Acquire, times: int = 500) -> dict[str, float]:
    """Milliseconds to get a connection when one is free."""
    spent = []
    for _ in range(times):
        started = time.perf_counter()
        async with acquire():
            spent.append((time.perf_counter() - started) * 1000)
    return percentiles(spent)


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)  # PostgreSQL and pgBouncer may run as users of their own
        url = await stack.enter_async_context(embedded_postgres(folder / "postgres"))
        server = stack.enter_context(running(folder / "pgbouncer", url.replace("+asyncpg", "")))
        pooled = server.url.replace("postgresql://", "postgresql+asyncpg://")
        ways: dict[str, Acquire] = {
            "NullPool, direct": without_pool(url, bounced=False),
            "NullPool, through pgBouncer": without_pool(pooled, bounced=True),
        }
        for name, through in (("pool, direct", ""), ("pool, through pgBouncer", pooled)):
            database = Database(
                url,
                schema="public",
                pool_size=options.pool_size,
                pool_timeout_seconds=5,
                statement_timeout_seconds=30,
                pooled_url=through,
                server_settings=SERVER_SETTINGS,
            )
            stack.push_async_callback(database.aclose)
            ways[name] = database.read
        async with database.direct() as db:
            await db.execute(text("CREATE EXTENSION vector"))
            await db.execute(text("CREATE TABLE words (id int PRIMARY KEY, word text)"))
            rows = "INSERT INTO words SELECT n, 'word ' || n FROM generate_series(0, :rows - 1) AS n"
            await db.execute(text(rows), {"rows": ROWS})
        figures: dict[str, Any] = {name: {"ms": [], "failed": {}, "seconds": 0.0} for name in ways}
        for _ in range(options.rounds):
            for name, acquire in ways.items():
                figure, found = figures[name], await load(acquire, options.tasks, options.queries)
                figure["ms"] += found["ms"]
                figure["seconds"] += found["seconds"]
                for error, count in found["failed"].items():
                    figure["failed"][error] = figure["failed"].get(error, 0) + count
        for name, acquire in ways.items():
            figure = figures[name]
            ms, seconds = figure.pop("ms"), figure.pop("seconds")
            figure |= percentiles(ms) | {"queries a second": len(ms) / seconds}
            figure["acquire"] = await acquiring(acquire)
    for mode in ("direct", "through pgBouncer"):
        ours, plain = figures[f"pool, {mode}"], figures[f"NullPool, {mode}"]
        ours["times NullPool"] = ours["queries a second"] / plain["queries a second"]
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pool-size", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = asyncio.run(measure(options))
    if options.json:
        print(json.dumps(figures))
        return
    print_table(
        ["", "p50 ms", "p95 ms", "failed", "queries/s", "× NullPool", "acquire p50 ms"],
        [
            [
                name,
                f"{figure['p50']:.1f}",
                f"{figure['p95']:.1f}",
                str(sum(figure["failed"].values())),
                f"{figure['queries a second']:.0f}",
                f"{figure['times NullPool']:.1f}" if "times NullPool" in figure else "1",
                f"{figure['acquire']['p50']:.2f}",
            ]
            for name, figure in figures.items()
        ],
    )
    for name, figure in figures.items():
        for error, count in figure["failed"].items():
            print(f"\n{name}: {count} × {error}")


if __name__ == "__main__":
    main()
