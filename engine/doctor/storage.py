"""PostgreSQL and pgBouncer: reached, new enough, migrated, with room for our pool, on the same clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from sqlalchemy import text

from engine.doctor.check import Check, Parts
from engine.errors import DatabaseUnavailable
from engine.storage.database import Database, driver
from engine.storage.migrate import MINIMUM_SERVER, head, revision, revisions

CLOCK_SECONDS = 2.0
SLOW_ACQUIRE_MS = 50.0
ITERATIVE_SCAN = (0, 8)  # pgvector's first version with it
_ROOM = text(
    "SELECT current_setting('max_connections')::int"
    " - current_setting('superuser_reserved_connections')::int AS most,"
    " (SELECT count(*) FROM pg_stat_activity"
    "  WHERE backend_type = 'client backend' AND application_name <> 'dossier') AS others"
)


async def check_storage(parts: Parts) -> Sequence[Check]:
    """One after the other: the first takes all connections for a moment."""
    return [*await _check_database(parts), *await _check_pgbouncer(parts)]


async def _check_database(parts: Parts) -> Sequence[Check]:
    """Server, extension, migrations, clock and room, each by asking."""
    if parts.database is None:
        error = parts.missing["database"]
        return [Check("database", "failed", error.message, error.hint)]
    try:
        async with parts.database.read() as db:
            version = int((await db.execute(text("SHOW server_version_num"))).scalar_one())
            named = str((await db.execute(text("SHOW server_version"))).scalar_one())
            size = int((await db.execute(text("SELECT pg_database_size(current_database())"))).scalar_one())
            asked = time.time()
            theirs = (await db.execute(text("SELECT extract(epoch FROM clock_timestamp())"))).scalar_one()
            ours = (asked + time.time()) / 2
    except DatabaseUnavailable as error:
        advice = "Check DATABASE_URL (address, user, password, database) and that the server lets us in."
        return [Check("database", "failed", error.message, advice)]
    where = "PostgreSQL at DATABASE_URL" if parts.settings.database_url else "embedded PostgreSQL"
    found = [Check("database", "ok", f"{where}: {named}; {size / 1e6:,.0f} MB.")]
    if version < MINIMUM_SERVER:
        found = [Check("database", "failed", f"{where}: {named}.", "Dossier needs PostgreSQL 15 or newer.")]
    settings = parts.settings
    looks = {
        "pgvector": _extension(parts.database),
        "migrations": _migrations(parts.database),
        "pool": _pool(parts.database, running=parts.running),
        "connections": _room(parts.database, settings.database_pool_size, settings.use_pgbouncer),
    }
    found.append(_clock(float(theirs) - ours))
    for name, look in looks.items():
        try:
            found.append(await look)
        except DatabaseUnavailable as error:
            found.append(Check(name, "failed", error.message, error.hint))
    return found


async def _extension(database: Database) -> Check:
    async with database.read() as db:
        row = (
            await db.execute(
                text(
                    "SELECT installed_version, default_version FROM pg_available_extensions"
                    " WHERE name = 'vector'"
                )
            )
        ).first()
    if row is None:
        return Check(
            "pgvector", "failed", "The server does not have it.", "Install pgvector ≥ 0.8 on the server."
        )
    if row.installed_version is None:
        return Check("pgvector", "warning", f"{row.default_version} is there, not yet created.", FIRST_START)
    if tuple(map(int, row.installed_version.split(".")[:2])) < ITERATIVE_SCAN:
        return Check(
            "pgvector",
            "failed",
            f"{row.installed_version}: a search under a filter would lose passages.",
            "Install pgvector ≥ 0.8, then run ALTER EXTENSION vector UPDATE.",
        )
    return Check("pgvector", "ok", f"{row.installed_version}.")


FIRST_START = "Nothing: the first start of Dossier does it."


async def _migrations(database: Database) -> Check:
    current, newest = await revision(database), head()
    if current == newest:
        return Check("migrations", "ok", f"The schema “{database.schema}” is at {current}.")
    if current is None:
        return Check("migrations", "warning", f"There is no schema “{database.schema}” yet.", FIRST_START)
    if current in revisions():
        return Check(
            "migrations",
            "warning",
            f"The schema is at {current}, this Dossier knows {newest}.",
            "Nothing: the next start brings it up to date. Make a backup before.",
        )
    return Check(
        "migrations",
        "failed",
        f"The schema is at {current}, which this Dossier does not know.",
        "A newer Dossier has migrated it: start that one, or go back to the backup made before.",
    )


def _clock(ahead: float) -> Check:
    seen = f"The database's clock is {abs(ahead):.2f} s {'ahead of' if ahead > 0 else 'behind'} ours."
    if abs(ahead) > CLOCK_SECONDS:
        return Check(
            "clock", "warning", seen, "Keep both machines' clocks by NTP: lives of entries rely on it."
        )
    return Check("clock", "ok", seen)


async def _pool(database: Database, *, running: bool) -> Check:
    """Beside users one connection is taken; alone all, which proves that the server gives them."""
    status = database.pool_status()
    wanted = 1 if running else status.size
    began = time.perf_counter()
    try:
        async with AsyncExitStack() as taken:
            taking = (taken.enter_async_context(database.read()) for _ in range(wanted))
            # Where one fails, the others are waited for: what came later would not be given back.
            given = await asyncio.gather(*taking, return_exceptions=True)
            dbs = [db for db in given if not isinstance(db, BaseException)]
            for failure in given:
                if isinstance(failure, BaseException):
                    raise failure
            each = (time.perf_counter() - began) * 1000 / wanted
            # Through pgBouncer a server is given with the first statement only.
            await asyncio.gather(*(db.execute(text("SELECT 1")) for db in dbs))
    except DatabaseUnavailable as error:
        return Check("pool", "failed", f"Not all {wanted} connections: {error.message}", error.hint)
    seen = f"{wanted} of {status.size} taken, {each:.1f} ms each; {status.waiting} tasks wait."
    if running and (status.waiting or each > SLOW_ACQUIRE_MS):
        return Check("pool", "warning", seen, "Raise DATABASE_POOL_SIZE, or start another process.")
    return Check("pool", "ok", seen)


async def _room(database: Database, pool_size: int, bounced: bool) -> Check:
    async with database.read() as db:
        told = (await db.execute(_ROOM)).one()
    room = told.most - told.others
    seen = f"{told.most} for users, {told.others} taken by others"
    if bounced:
        return Check("connections", "ok", f"{seen}; pgBouncer shares them out.")
    fit = room // pool_size
    seen = f"{seen}: room for {max(0, fit)} processes with DATABASE_POOL_SIZE={pool_size}."
    if fit < 1:
        return Check(
            "connections",
            "failed",
            seen,
            "Lower DATABASE_POOL_SIZE, raise max_connections of PostgreSQL, or put pgBouncer between.",
        )
    return Check("connections", "ok", seen)


async def _check_pgbouncer(parts: Parts) -> Sequence[Check]:
    """Whether it stands between, and is set up for it."""
    if parts.pgbouncer is None:
        return [Check("pgBouncer", "ok", "Not asked for.")]
    name = "pgBouncer"
    if parts.database is None:
        error = parts.missing["database"]
        return [Check(name, "failed", f"Nothing can be asked through it: {error.message}", error.hint)]
    try:
        async with parts.database.read() as db:
            # It tells a client another process number than PostgreSQL has.
            told = (await driver(db)).get_server_pid()
            between = told != (await db.execute(text("SELECT pg_backend_pid()"))).scalar_one()
    except DatabaseUnavailable as error:
        return [Check(name, "failed", f"PGBOUNCER_URL: {error.message}", "Is it running, at that address?")]
    if not between:
        return [
            Check(
                name, "failed", "PGBOUNCER_URL leads to PostgreSQL itself.", "Give pgBouncer's own address."
            )
        ]
    try:
        version, config, databases = await parts.pgbouncer.show("VERSION", "CONFIG", "DATABASES")
    except DatabaseUnavailable as error:
        return [Check(name, "warning", f"It serves. {error.message}", error.hint)]
    values = {row["key"]: row["value"] for row in config}
    own = next((row for row in databases if row["name"] == parts.pgbouncer.database), {})
    mode = own.get("pool_mode") or values.get("pool_mode")
    seen = (
        f"{_version(version)}, {mode} mode, {values.get('default_pool_size')} server connections for"
        f" {values.get('max_client_conn')} clients, max_prepared_statements"
        f" {values.get('max_prepared_statements', 'unknown to it')}."
    )
    if mode == "statement":
        return [
            Check(name, "failed", seen, "Set pool_mode = transaction: reads here take several statements.")
        ]
    if mode != "transaction":
        return [
            Check(name, "warning", seen, "Set pool_mode = transaction: otherwise it saves no connections.")
        ]
    if int(values.get("max_client_conn") or 0) < parts.settings.database_pool_size:
        return [Check(name, "failed", seen, "Raise max_client_conn above DATABASE_POOL_SIZE × processes.")]
    return [Check(name, "ok", seen)]


def _version(rows: Sequence[dict[str, Any]]) -> str:
    told = str(next(iter(rows[0].values()), "")) if rows else ""
    return told.split(" ", 2)[1] if told.startswith("PgBouncer ") else told or "unknown version"
