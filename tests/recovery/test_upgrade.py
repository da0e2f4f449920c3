"""A database that an older Dossier made opens: all that it held is there, and answers as before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from engine.chat.model import Turn
from engine.documents.jobs import Upload
from engine.engine import Engine, open_engine
from engine.retrieval.vector import VectorIndex
from engine.settings import Settings
from engine.storage.database import Database
from engine.storage.migrate import head, migrate, revision, revisions
from engine.storage.tables import metadata

from .conftest import connected, tables
from .test_backup import asked, fill, said

pytestmark = pytest.mark.anyio

VECTORS = VectorIndex("multilingual-e5-small", 384)
BEFORE = {"audit_events": "operator_actions"}  # what tables were called in older schemas
NOT_KEPT = {"cache_entries", "metrics_history"}


@dataclass(frozen=True)
class Now:
    """A database as the newest schema has it, and what it gives."""

    settings: Settings
    answers: list[object]
    turns: list[list[Turn]]


async def told(engine: Engine) -> list[list[Turn]]:
    """The turns of every session."""
    return [await engine.sessions.turns(session.id) for session in await engine.sessions.list()]


@pytest.fixture(scope="module")
async def now(make_settings: Callable[..., Settings]) -> Now:
    """Its answers lack what older ones had not."""
    settings = make_settings(database_schema="now")
    async with open_engine(settings) as engine:
        await fill(engine)
        async with engine.database.write() as db:
            await db.execute(
                text("UPDATE turns SET answer = (answer - 'asks_again') #- '{receipt,cost_usd}'")
            )
        return Now(settings, said(await asked(engine)), await told(engine))


async def columns(database: Database, table: str) -> list[str]:
    """Names of a table's columns."""
    query = (
        "SELECT column_name FROM information_schema.columns WHERE table_schema = :schema AND table_name = :t"
    )
    async with database.read() as db:
        return list((await db.execute(text(query), {"schema": database.schema, "t": table})).scalars())


async def copy(source: str, database: Database) -> dict[str, list[str]]:
    """Fill an older schema with rows of the newest; returns the columns of each table that were there."""
    there = set(await tables(database))
    copied: dict[str, list[str]] = {}
    for table in (*(t.name for t in metadata.sorted_tables), VECTORS.table):
        older = table if table in there else BEFORE.get(table, table)
        if older not in there or table in NOT_KEPT:
            continue
        copied[table] = await columns(database, older)
        async with database.write() as db:
            if table in ("corpus", "collections"):  # has its first row from the beginning
                await db.execute(text(f"DELETE FROM {older}"))
            names = ", ".join(f'"{name}"' for name in copied[table])
            await db.execute(text(f"INSERT INTO {older} ({names}) SELECT {names} FROM {source}.{table}"))
            counter = text("SELECT pg_get_serial_sequence(:table, 'id')")
            if "id" in copied[table] and (
                name := (await db.execute(counter, {"table": f"{database.schema}.{older}"})).scalar()
            ):
                highest = text(f"SELECT setval(:name, coalesce(max(id), 0) + 1, false) FROM {older}")
                await db.execute(highest, {"name": name})
    return copied


@pytest.mark.parametrize("older", revisions()[:-1])
async def test_a_database_of_an_older_schema_opens(
    older: str, now: Now, make_settings: Callable[..., Settings]
) -> None:
    settings = make_settings(database_schema=f"from_{older}")
    async with connected(settings.database_url or "", settings.database_schema) as database:
        await migrate(database, older)
        await VECTORS.prepare(database)
        copied = await copy(now.settings.database_schema, database)
        assert {"documents", "passages", "postings", "sessions", "turns", VECTORS.table} <= copied.keys()
        assert await revision(database) == older
    async with open_engine(settings) as engine:
        assert await revision(engine.database) == head()
        async with engine.database.read() as db:
            for table, names in copied.items():
                all_ = ", ".join(f'"{name}"' for name in names if name not in ("embedding", "tokens"))
                lost = f"SELECT {all_} FROM now.{table} EXCEPT SELECT {all_} FROM {table}"
                assert (await db.execute(text(lost))).all() == [], table
        assert await engine.ingestion.behind() == []
        assert said(await asked(engine)) == now.answers
        assert await told(engine) == now.turns
        (session, *_) = await engine.sessions.list()
        await engine.ask("Who may travel?", session_id=session.id)
        again = await engine.ingestion.submit([Upload("travel.md", b"Meals are refunded up to 50 euros.")])
        (file,) = (await engine.ingestion.wait(again.id)).files
        assert file.stage == "replaced"
        assert "50 euros" in (await engine.ask("How much is refunded for meals?")).text
