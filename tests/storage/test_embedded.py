"""The embedded PostgreSQL survives what happens to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from engine.errors import DatabaseUnavailable
from engine.storage import embedded
from engine.storage.database import Database
from engine.storage.embedded import embedded_postgres

pytestmark = pytest.mark.anyio


def database(url: str) -> Database:
    return Database(url, schema="public", pool_size=2, pool_timeout_seconds=2, statement_timeout_seconds=10)


def postmaster(folder: Path) -> int:
    return int((folder / "postmaster.pid").read_text().splitlines()[0])


async def answer(pool: Database, statement: str = "SELECT 'here'") -> str:
    """What the server says once it is there."""
    while True:
        try:
            async with pool.read() as db:
                return str((await db.execute(text(statement))).scalar_one())
        except DatabaseUnavailable:
            await asyncio.sleep(0.1)


async def test_a_killed_server_comes_back_with_what_was_committed(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    async with embedded_postgres(folder) as url:
        pool = database(url)
        async with pool.write() as db:
            await db.execute(text("CREATE TABLE kept (word text)"))
            await db.execute(text("INSERT INTO kept VALUES ('đấu thầu')"))
        killed = postmaster(folder)
        family = [psutil.Process(killed), *psutil.Process(killed).children()]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        assert await asyncio.wait_for(answer(pool, "SELECT word FROM kept"), 20) == "đấu thầu"
        assert postmaster(folder) != killed
        await pool.aclose()


async def test_a_server_that_came_back_too_slowly_to_be_known_is_stopped_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(embedded, "WATCH_SECONDS", 60.0)
    folder = tmp_path / "postgres"
    async with embedded_postgres(folder) as url:
        killed = psutil.Process(postmaster(folder))
        command, owner = killed.cmdline(), killed.username()
        family = [killed, *killed.children()]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(psutil.wait_procs, family, 10)
        for leftover in folder.glob("**/*.lock"):
            leftover.unlink()
        (folder / "postmaster.pid").unlink()
        same_user = {} if owner == psutil.Process().username() else {"user": owner}
        returned = await asyncio.create_subprocess_exec(*command, **same_user)  # type: ignore[arg-type]
        pool = database(url)
        await asyncio.wait_for(answer(pool), 20)
        await pool.aclose()
    async with asyncio.timeout(20):
        await returned.wait()


async def test_the_last_to_leave_stops_the_server(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    async with embedded_postgres(folder) as first:
        async with embedded_postgres(folder) as second:
            assert first == second
        pool = database(first)
        async with pool.read() as db:
            assert (await db.execute(text("SELECT 1"))).scalar_one() == 1
        await pool.aclose()
        pid = postmaster(folder)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_the_mark_of_a_killed_app_does_not_keep_the_server_running(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    dead = await asyncio.create_subprocess_exec("sleep", "60")
    async with embedded_postgres(folder):
        pass
    (folder / ".handle_pids.json").write_text(f"[{dead.pid}]")
    os.kill(dead.pid, signal.SIGKILL)
    await dead.wait()
    async with embedded_postgres(folder):
        pid = postmaster(folder)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_what_a_power_cut_leaves_in_the_folder_does_not_keep_it_from_starting(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    async with embedded_postgres(folder):
        whole = (folder / "postmaster.pid").read_text()
    reused = "\n".join([str(os.getpid()), *whole.splitlines()[1:]])  # the number is another program's now
    for marks, left in (("[12", reused), ("", ""), ("[]", "\0" * 40)):
        (folder / ".handle_pids.json").write_text(marks)
        (folder / "postmaster.pid").write_text(left)
        async with embedded_postgres(folder) as url:
            assert postmaster(folder) != os.getpid()
            pool = database(url)
            async with pool.read() as db:
                assert (await db.execute(text("SELECT 1"))).scalar_one() == 1
            await pool.aclose()


async def test_a_database_that_was_not_made_to_its_end_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    (folder / "global").mkdir(parents=True)
    (folder / "PG_VERSION").write_text("17\n")  # as initdb leaves it when it is killed
    (folder / "postmaster.pid").write_text(f"-31820\n{folder}\n1795807895\n5432\n\n\n  2220049    786453\n")
    async with embedded_postgres(folder) as url:
        pool = database(url)
        assert await answer(pool) == "here"
        await pool.aclose()
    (aside,) = tmp_path.glob("postgres.unfinished-*")
    assert (aside / "PG_VERSION").read_text() == "17\n"
    async with embedded_postgres(folder):  # whole, it stays
        pass
    assert [*tmp_path.glob("postgres.unfinished-*")] == [aside]


async def test_a_folder_with_spaces_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="DOSSIER_HOME"):
        async with embedded_postgres(tmp_path / "my documents"):
            pass
