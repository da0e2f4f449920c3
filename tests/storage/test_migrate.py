"""The schema: made once by whoever comes first, and the same as the tables in the code."""

from __future__ import annotations

import asyncio

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from engine.storage.database import Database
from engine.storage.migrate import head, migrate
from engine.storage.tables import metadata

pytestmark = pytest.mark.anyio


def on(url: str, schema: str) -> Database:
    return Database(url, schema=schema, pool_size=2, pool_timeout_seconds=20, statement_timeout_seconds=20)


async def test_processes_that_start_at_once_migrate_once(database_url: str) -> None:
    pools = [on(database_url, "at_once") for _ in range(6)]
    await asyncio.gather(*(migrate(pool) for pool in pools))
    async with pools[0].read() as db:
        (version,) = (await db.execute(text("SELECT version_num FROM alembic_version"))).scalars()
        assert version == head()
        assert (await db.execute(text("SELECT count(*) FROM corpus"))).scalar_one() == 1
    for pool in pools:
        await pool.aclose()


async def test_the_migrations_make_the_tables_that_the_code_describes(database_url: str) -> None:
    pool = on(database_url, "described")
    await migrate(pool)

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return [
            difference
            for difference in compare_metadata(context, metadata)
            if "alembic_version" not in str(difference)
        ]

    async with pool.read() as db:
        assert await db.run_sync(differences) == []
    await pool.aclose()
