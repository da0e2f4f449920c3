"""A backup of a running Dossier: one snapshot, nobody waits."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import BadInput, Unavailable
from engine.recovery.container import CHUNK_BYTES, DUMP, Hashed, Manifest, Progress, TableContent, writing
from engine.recovery.contents import ONE_WAY_OF_WRITING, content_query, tables_query
from engine.recovery.tools import Complaints, Tools, environment, find_tools, running
from engine.storage.database import Database
from engine.storage.migrate import revision, revisions
from engine.version import VERSION

SILENCE_SECONDS = 300.0  # a dump from which nothing comes for so long hangs
_LOCK_WAIT = "30s"  # for a table that a migration holds


async def back_up(database: Database, target: Path, progress: Progress) -> Manifest:
    """Write everything in the database's schema to `target`, as it is at one moment.

    Files, sessions and indexes are in it; what only a cache holds is not. Raises BadInput,
    DatabaseUnavailable, Unavailable; then, and when it is cancelled, there is no file.
    """
    current = await revision(database)
    if current is None:
        raise BadInput(f"There is no Dossier in the schema “{database.schema}”; nothing was written.")
    if current not in revisions():
        raise BadInput(
            f"The schema is at {current}, which this Dossier does not know; nothing was written.",
            hint="Make the backup with the newer Dossier that has migrated it.",
        )
    with writing(target) as out:
        async with database.direct() as db:
            await db.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            for statement in (
                "SET LOCAL statement_timeout = 0",
                "SET LOCAL idle_in_transaction_session_timeout = 0",
                *ONE_WAY_OF_WRITING,
            ):
                await db.execute(text(statement))
            server = int((await db.execute(text("SHOW server_version_num"))).scalar_one()) // 10_000
            tools = await asyncio.to_thread(find_tools, server)
            snapshot = str((await db.execute(text("SELECT pg_export_snapshot()"))).scalar_one())
            named = await db.execute(text(tables_query(database.schema, kept_only=True)))
            tables = [str(name) for name in named.scalars()]
            with out.part(DUMP) as write:
                dump = Hashed(write)
                # The dump and the digests at once, of the same snapshot.
                async with asyncio.TaskGroup() as both:
                    both.create_task(_dump(database, tools, snapshot, dump, len(tables), progress))
                    digests = both.create_task(_contents(db, database.schema, tables))
        manifest = Manifest(
            application=VERSION,
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            schema=database.schema,
            revision=current,
            postgres=server,
            tools=tools.version,
            tables=digests.result(),
            parts={DUMP: dump.part},
        )
        out.manifest(manifest)
    return manifest


async def _contents(db: AsyncConnection, schema: str, tables: list[str]) -> dict[str, TableContent]:
    found: dict[str, TableContent] = {}
    for table in tables:
        rows, digest = (await db.execute(text(content_query(schema, table)))).one()
        found[table] = TableContent(rows, digest)
    return found


async def _dump(
    database: Database, tools: Tools, snapshot: str, out: Hashed, tables: int, progress: Progress
) -> None:
    command = [
        tools.program("pg_dump"),
        "--format=custom", "--compress=1", "--verbose", "--no-password",
        f'--schema="{database.schema}"', f"--snapshot={snapshot}", f"--lock-wait-timeout={_LOCK_WAIT}",
        "--no-owner", "--no-privileges", "--no-unlogged-table-data",
    ]  # fmt: skip
    async with running(command, environment(database.url, "dossier backup")) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.close()
        complaints = Complaints(process.stderr)

        async def follow() -> None:
            done = 0
            async for line in complaints.lines():
                if "dumping contents of table" in line:
                    done += 1
                    progress("writing tables", min(done, tables), tables)

        following = asyncio.create_task(follow())
        try:
            while True:
                async with asyncio.timeout(SILENCE_SECONDS):
                    if not (piece := await process.stdout.read(CHUNK_BYTES)):
                        break
                out(piece)
            async with asyncio.timeout(SILENCE_SECONDS):
                await following
                await process.wait()
        except TimeoutError as error:
            raise Unavailable("The database's dump hangs; nothing was written.") from error
        finally:
            following.cancel()
    if process.returncode != 0:
        raise Unavailable(f"pg_dump failed; nothing was written: {complaints.last_error()}")
