"""A backup put back: in one transaction, compared with what the backup says it holds, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import text

from engine.errors import BadInput, Unavailable
from engine.recovery.container import DUMP, Hashed, Manifest, Progress, TableContent, read_manifest, reading
from engine.recovery.contents import ONE_WAY_OF_WRITING, content_query, emptying, tables_query
from engine.recovery.tools import Complaints, Tools, environment, find_tools, running
from engine.storage.database import Database
from engine.storage.migrate import LOCK

APPLICATION = "dossier restore"
_LOCK_SECONDS = 30
_LINGER_SECONDS = 2.0
_OTHERS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name = 'dossier'"
)

# Generations that were counted after the backup was made must not be counted a second time:
# caches outside the database may hold results under them.
_NEW_GENERATION = (
    'UPDATE "{schema}".corpus SET generation ='
    " greatest(generation + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)"
)


async def restore(database: Database, source: Path, replace: str | None, progress: Progress) -> Manifest:
    """Put a backup into the database's schema, which must be empty.

    replace: the schema's name, to drop all that is in it. Raises BadInput for a backup or a place
    that cannot be used, Unavailable, DatabaseUnavailable; then, and when it is cancelled, all is as before.
    """
    manifest = await asyncio.to_thread(read_manifest, source, progress)
    schema = database.schema
    if manifest.schema != schema:
        raise BadInput(
            f"The backup is of the schema “{manifest.schema}”, DATABASE_SCHEMA is “{schema}”.",
            hint=f"Set DATABASE_SCHEMA={manifest.schema}.",
        )
    if replace not in (None, schema):
        raise BadInput(f"--replace {replace} does not name the schema “{schema}”; nothing was touched.")
    server = await _server(database)
    if server < manifest.postgres:
        raise BadInput(
            f"The backup is of PostgreSQL {manifest.postgres}, this server is {server}.",
            hint="An older server cannot take it: restore into the same version or a newer one.",
        )
    tools = await asyncio.to_thread(find_tools, max(server, manifest.tools))
    await database.aclose()  # so that all who are connected under our name are others
    async with _psql(tools, database) as psql:
        await _make_room(psql, schema, replacing=replace is not None)
        await _pour(psql, tools, manifest, source, schema, progress)
        progress("comparing", 0, len(manifest.tables))
        await _compare(psql, manifest, schema, progress)
        await psql.run(_NEW_GENERATION.format(schema=schema))
        await psql.run("COMMIT")
    async with database.autocommit() as db:
        # Searches rely on both: statistics, and the visibility map of what was just written.
        await db.execute(text("SET statement_timeout = 0"))
        for table in manifest.tables:
            await db.execute(text(f'VACUUM (ANALYZE) "{schema}"."{table}"'))
    await database.aclose()
    return manifest


async def _server(database: Database) -> int:
    async with database.read() as db:
        return int((await db.execute(text("SHOW server_version_num"))).scalar_one()) // 10_000


class Psql:
    """A transaction in psql: without its COMMIT, whatever ends it, nothing has happened."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin and process.stdout and process.stderr
        self._in, self._out = process.stdin, process.stdout
        self.complaints = Complaints(process.stderr)
        self._listening = asyncio.create_task(self.complaints.read())
        self._asked = 0

    async def write(self, piece: bytes) -> None:
        """Hand over a piece of a script. Raises Unavailable once a statement has failed."""
        try:
            self._in.write(piece)
            await self._in.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise await self._failed() from None

    async def run(self, statement: str) -> list[list[str]]:
        """Run a statement to its end; its rows. Raises Unavailable."""
        self._asked += 1
        end = f"end of {self._asked}"
        await self.write(f"{statement};\nSELECT '{end}';\n".encode())
        rows: list[list[str]] = []
        while line := await self._out.readline():
            row = line.decode().rstrip("\n").split("\t")
            if row == [end]:
                return rows
            rows.append(row)
        raise await self._failed()

    async def close(self) -> None:
        """End it; what was not committed is undone."""
        self._in.close()
        await self._listening

    async def _failed(self) -> Unavailable:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await self._listening
        return Unavailable(f"The restore failed and was undone: {self.complaints.last_error()}")


@asynccontextmanager
async def _psql(tools: Tools, database: Database) -> AsyncIterator[Psql]:
    command = [
        tools.program("psql"), "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--no-password",
        "--field-separator=\t", "--set=ON_ERROR_STOP=1", "--file=-",
    ]  # fmt: skip
    async with running(command, environment(database.url, APPLICATION)) as process:
        psql = Psql(process)
        await psql.run("BEGIN")
        yield psql
        await psql.close()
        await process.wait()


async def _make_room(psql: Psql, schema: str, *, replacing: bool) -> None:
    await psql.run("SET LOCAL client_min_messages = warning")
    await psql.run(f"SELECT pg_advisory_xact_lock({LOCK})")  # a Dossier that starts waits for us
    await psql.run(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")
    if tables := await psql.run(tables_query(schema)):
        if not replacing:
            documents, sessions = [
                int((await psql.run(f'SELECT count(*) FROM "{schema}".{name}'))[0][0])
                if [name] in tables
                else 0
                for name in ("documents", "sessions")
            ]
            raise BadInput(
                f"The schema “{schema}” is not empty: it has {documents:,} documents, {sessions:,} sessions.",
                hint=f"Nothing was touched. To replace all of it, add --replace {schema}.",
            )
        await _nobody_else(psql)
        await psql.run(emptying(schema))
    await psql.run(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
    await psql.run("CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public")


async def _nobody_else(psql: Psql) -> None:
    """Raises BadInput where Dossier serves from this database. Connections just closed may linger."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while await psql.run(_OTHERS) != [["0"]]:
                await psql.run("SELECT pg_stat_clear_snapshot()")
                await asyncio.sleep(0.1)
            return
    raise BadInput("Dossier runs on this database.", hint="Nothing was touched. Stop it first.")


async def _pour(
    psql: Psql, tools: Tools, manifest: Manifest, source: Path, schema: str, progress: Progress
) -> None:
    """The dump through pg_restore, which makes a script of it, into the transaction."""
    whole = manifest.parts[DUMP]
    command = [
        tools.program("pg_restore"), "--file=-", f"--schema={schema}", "--no-owner", "--no-privileges",
        "--exit-on-error",
    ]  # fmt: skip
    async with running(command, environment("postgresql+asyncpg://", APPLICATION)) as process:
        assert process.stdin and process.stdout and process.stderr
        complaints = Complaints(process.stderr)
        read = Hashed()

        async def feed() -> None:
            assert process.stdin
            with reading(source, DUMP) as pieces, contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for piece in pieces:
                    read(piece)
                    process.stdin.write(piece)
                    await process.stdin.drain()
                    progress("restoring", read.part.bytes, whole.bytes)
            process.stdin.close()

        listening = asyncio.create_task(complaints.read())
        feeding = asyncio.create_task(feed())
        try:
            while piece := await process.stdout.read(1 << 20):
                await psql.write(piece)
            await process.wait()
            await listening
            await feeding
        finally:
            listening.cancel()
            feeding.cancel()
    if process.returncode != 0:
        raise Unavailable(f"pg_restore failed; the restore was undone: {complaints.last_error()}")
    if read.part != whole:
        raise BadInput(f"{source} has changed while it was read; the restore was undone.")
    progress("making indexes", 0, 1)
    await psql.run("SELECT")  # comes back when all of the script has run
    progress("making indexes", 1, 1)


async def _compare(psql: Psql, manifest: Manifest, schema: str, progress: Progress) -> None:
    """Row by row, through digests. Raises Unavailable where the database holds anything else."""
    for statement in ONE_WAY_OF_WRITING:
        await psql.run(statement)
    found = {name for (name,) in await psql.run(tables_query(schema, kept_only=True))}
    if found != set(manifest.tables):
        raise Unavailable(
            f"The restore was undone: its tables differ in {', '.join(sorted(found ^ set(manifest.tables)))}."
        )
    for number, (table, wanted) in enumerate(manifest.tables.items(), start=1):
        ((rows, digest),) = await psql.run(content_query(schema, table))
        if TableContent(int(rows), digest) != wanted:
            raise Unavailable(f"The restore was undone: the table {table} differs from the backup's.")
        progress("comparing", number, len(manifest.tables))
