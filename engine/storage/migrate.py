"""Brings the schema up to date at start; safe with several processes starting at once."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from engine.errors import DatabaseUnavailable
from engine.storage.database import Database

LOCK = 7065  # any number that nothing else here uses
MINIMUM_SERVER = 150_000


async def migrate(database: Database) -> None:
    """Apply what is missing, under an advisory lock; the others wait and find it done.

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
        await db.run_sync(_upgrade, database.schema)
    # Connections made before the extension existed do not know its types.
    await database.aclose()


def _upgrade(connection: Connection, schema: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    config.attributes["schema"] = schema
    command.upgrade(config, "head")
