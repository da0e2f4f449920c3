"""Databases of their own: a backup goes back into a schema of the same name."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from engine.recovery.contents import ONE_WAY_OF_WRITING, tables_query
from engine.storage.database import Database

NewDatabase = Callable[[], Awaitable[str]]

_databases = itertools.count(1)


@asynccontextmanager
async def connected(url: str, schema: str = "public") -> AsyncIterator[Database]:
    """A small pool, closed in the end."""
    pool = Database(url, schema=schema, pool_size=2, pool_timeout_seconds=20, statement_timeout_seconds=20)
    try:
        yield pool
    finally:
        await pool.aclose()


@pytest.fixture(scope="package")
def new_database(database_url: str) -> NewDatabase:
    """Makes an empty database on the run's server; gives its URL."""

    async def make() -> str:
        name = f"recovery_{next(_databases)}"
        async with connected(database_url) as server, server.autocommit() as db:
            await db.execute(text(f"CREATE DATABASE {name} TEMPLATE template0"))
        return make_url(database_url).set(database=name).render_as_string(hide_password=False)

    return make


async def tables(database: Database) -> list[str]:
    """Every table of the schema."""
    async with database.read() as db:
        return [str(name) for name in (await db.execute(text(tables_query(database.schema)))).scalars()]


async def rows(database: Database, but: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """All that is in the schema: every row of every table, as text, and where its counters stand."""
    found: dict[str, list[str]] = {}
    for table in set(await tables(database)) - set(but):
        async with database.write() as db:
            for statement in ONE_WAY_OF_WRITING:
                await db.execute(text(statement))
            got = await db.execute(text(f'SELECT t::text FROM "{database.schema}"."{table}" AS t ORDER BY 1'))
            found[table] = list(got.scalars())
    async with database.read() as db:
        counters = await db.execute(
            text(
                "SELECT sequencename || ' ' || coalesce(last_value, 0) FROM pg_sequences"
                " WHERE schemaname = :schema"
            ),
            {"schema": database.schema},
        )
        found["counters"] = sorted(counters.scalars())
    return found
