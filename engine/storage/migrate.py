"""Brings the schema up to date at start; safe with several processes starting at once."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from engine.errors import DatabaseUnavailable
from engine.storage.database import Database

LOCK = 7065  # any number that nothing else here uses
MINIMUM_SERVER = 150_000
_FOLDER = Path(__file__).parent / "migrations"


async def migrate(database: Database, to: str = "head") -> None:
    """Apply what is missing, under an advisory lock; the others wait and find it done.

    to: the revision to go up to; one before the newest is what an older Dossier made.
    Raises DatabaseUnavailable when the server is too old or has no pgvector.
    """
    async with database.direct() as db:
        await db.execute(text("SET LOCAL statement_timeout = 0"))
        await db.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        version = int((await db.execute(text("SHOW server_version_num"))).scalar_one())
        if version < MINIMUM_SERVER:
            raise DatabaseUnavailable(
                f"PostgreSQL {version // 10_000} is too old.", hint="Dossier needs PostgreSQL 15 or newer."
            )
        available = await db.execute(text("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"))
        if available.first() is None:
            raise DatabaseUnavailable(
                "This PostgreSQL has no pgvector.",
                hint="Install the extension on the server (pgvector ≥ 0.8).",
            )
        await db.execute(text("CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public"))
        await db.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{database.schema}"'))
        await db.run_sync(_upgrade, database.schema, to)
    # Connections made before the extension existed do not know its types.
    await database.aclose()


async def revision(database: Database) -> str | None:
    """At which migration the schema is; None before the first. Raises DatabaseUnavailable."""
    async with database.read() as db:
        there = await db.execute(
            text("SELECT to_regclass(:table)"), {"table": f'"{database.schema}".alembic_version'}
        )
        if there.scalar_one() is None:
            return None
        current = await db.execute(text(f'SELECT version_num FROM "{database.schema}".alembic_version'))
        found: str | None = current.scalar()
        return found


def head() -> str:
    """The newest migration that this Dossier knows."""
    return str(ScriptDirectory(str(_FOLDER)).get_current_head())


def revisions() -> tuple[str, ...]:
    """All that it knows, the oldest first."""
    found = [script.revision for script in ScriptDirectory(str(_FOLDER)).walk_revisions()]
    return tuple(reversed(found))


def _upgrade(connection: Connection, schema: str, to: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    config.attributes["schema"] = schema
    command.upgrade(config, to)
