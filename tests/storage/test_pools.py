"""The pool holds when connections are cut, the server restarts, hangs, is slow or full."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Float,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    cast,
    func,
    insert,
    make_url,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import DatabaseUnavailable
from engine.storage import connections
from engine.storage.database import Database, Unsettled, fetch_rows, setting
from engine.storage.embedded import embedded_postgres
from engine.storage.fixed import Fixed
from engine.storage.pool import PoolStatus
from tests.storage.test_embedded import postmaster

pytestmark = pytest.mark.anyio

CUT = text(
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE application_name = 'dossier' AND pid <> pg_backend_pid() AND datname = current_database()"
)

MakePool = Callable[..., Database]


def make_database(url: str, **changed: Any) -> Database:
    given: dict[str, Any] = {
        "schema": "public",
        "pool_size": 4,
        "pool_timeout_seconds": 5,
        "statement_timeout_seconds": 10,
    }
    return Database(url, **(given | changed))


@pytest.fixture
async def make_pool(database_url: str) -> AsyncIterator[MakePool]:
    """Pools on the run's PostgreSQL: ``make_pool(pool_size=1)``."""
    made: list[Database] = []

    def make(**changed: Any) -> Database:
        made.append(make_database(database_url, **changed))
        return made[-1]

    yield make
    for pool in made:
        await pool.aclose()


async def one(pool: Database, statement: str = "SELECT 1") -> Any:
    async with pool.read() as db:
        return (await db.execute(text(statement))).scalar_one()


async def backend(db: AsyncConnection) -> int:
    return int((await db.execute(text("SELECT pg_backend_pid()"))).scalar_one())


async def cut_everything(pool: Database) -> None:
    """As an administrator would, from a connection of its own."""
    own = make_database(pool.url, pool_size=1)
    try:
        await one(own, CUT.text)
    finally:
        await own.aclose()


async def busy_until(done: Callable[[], bool], pool: Database, clients: int = 8) -> int:
    """So many clients read, one after another, until `done`; how many reads that was."""
    count = 0

    async def client() -> None:
        nonlocal count
        while not done():
            assert await one(pool, "SELECT 7") == 7
            count += 1
            await asyncio.sleep(0.002)

    await asyncio.gather(*(client() for _ in range(clients)))
    return count


async def fill(pool: Database, connections: int) -> None:
    await asyncio.gather(*(one(pool, "SELECT 1 FROM pg_sleep(0.1)") for _ in range(connections)))
    assert pool.pool_status().idle == connections


async def test_what_statements_rely_on_is_set_on_every_connection(make_pool: MakePool) -> None:
    pool = make_pool(schema="elsewhere", server_settings={"hnsw.ef_search": "77"})
    for block in (pool.read, pool.write, pool.direct, pool.autocommit):
        async with block() as db:
            told = [
                (await db.execute(text(f"SHOW {name}"))).scalar_one()
                for name in (
                    "search_path",
                    "statement_timeout",
                    "idle_in_transaction_session_timeout",
                    "hnsw.ef_search",
                )
            ]
        assert told == ["elsewhere, public", "10s", "1min", "77"]


async def test_another_setting_holds_for_its_block_only_even_when_that_fails(make_pool: MakePool) -> None:
    pool = make_pool(pool_size=1, server_settings={"work_mem": "1MB"})
    async with pool.read() as db:
        async with setting(db, "work_mem", "2MB"):
            assert (await db.execute(text("SHOW work_mem"))).scalar_one() == "2MB"
        assert (await db.execute(text("SHOW work_mem"))).scalar_one() == "1MB"
        with pytest.raises(ZeroDivisionError):
            async with setting(db, "work_mem", "2MB"):
                raise ZeroDivisionError
    assert await one(pool, "SHOW work_mem") == "1MB"


async def test_cut_connections_cost_no_read_and_no_write_that_comes_after(make_pool: MakePool) -> None:
    pool = make_pool()
    await fill(pool, 4)
    await cut_everything(pool)
    assert await asyncio.gather(*(one(pool) for _ in range(20))) == [1] * 20
    await cut_everything(pool)
    async with pool.write() as db:
        assert (await db.execute(text("SELECT 2"))).scalar_one() == 2
    assert pool.pool_status().replaced_total > 0


SLOW = Fixed(
    select(cast(bindparam("told"), Text).label("told"), func.pg_sleep(bindparam("seconds", type_=Float())))
)


async def told(pool: Database, seconds: float = 0.0) -> str:
    (row,) = await pool.fetch(SLOW, {"told": "Điều 5", "seconds": seconds})
    said: str = row.told
    return said


async def told_among_others(pool: Database, seconds: float = 0.0) -> str:
    """On a connection that was taken to read more."""
    async with pool.read() as db:
        for wait in (0.0, seconds):
            (row,) = await fetch_rows(db, SLOW, {"told": "Điều 5", "seconds": wait})
        assert (await db.execute(text("SELECT 3"))).scalar_one() == 3
    said: str = row.told
    return said


@pytest.mark.parametrize("told", [told, told_among_others], ids=["alone", "among others"])
async def test_rows_straight_from_the_driver_survive_what_a_read_survives(
    make_pool: MakePool, told: Callable[..., Coroutine[Any, Any, str]]
) -> None:
    pool = make_pool(statement_timeout_seconds=1)
    await fill(pool, 4)
    await cut_everything(pool)
    assert await asyncio.gather(*(told(pool) for _ in range(20))) == ["Điều 5"] * 20
    reading = asyncio.create_task(told(pool, 0.7))
    while not await one(
        pool, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep($2%' AND state = 'active'"
    ):
        pass
    await cut_everything(pool)
    assert await reading == "Điều 5"
    with pytest.raises(DatabaseUnavailable, match="takes too long"):
        await told(pool, 5)
    given_up = asyncio.create_task(told(pool, 0.9))
    while not pool.pool_status().in_use:
        await asyncio.sleep(0)
    given_up.cancel()
    assert await asyncio.gather(*(told(pool) for _ in range(8))) == ["Điều 5"] * 8
    assert pool.pool_status().in_use == 0


@asynccontextmanager
async def says_goodbye_early(url: str, folder: Path) -> AsyncIterator[tuple[str, Callable[[], None]]]:
    """A way to PostgreSQL on which its last words can arrive well before its end does."""
    address = make_url(url)
    behind = f"{address.query['host']}/.s.PGSQL.{address.query['port']}"
    clients: list[asyncio.StreamWriter] = []
    passing: list[asyncio.Task[None]] = []

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while received := await reader.read(65536):
                writer.write(received)
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(behind)
        clients.append(writer)
        passing.append(asyncio.create_task(pass_on(up_reader, writer)))
        await pass_on(reader, up_writer)

    def goodbye() -> None:
        fields = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
        for client in clients:
            client.write(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
        clients.clear()

    server = await asyncio.start_unix_server(connected, folder / ".s.PGSQL.1")
    async with server:
        given = {"host": str(folder), "port": "1"}
        yield address.update_query_dict(given).render_as_string(hide_password=False), goodbye
    await asyncio.gather(*passing)


@pytest.mark.parametrize("way", ["read", "write", "fetch", "fetch among others"])
async def test_a_connection_that_is_told_to_end_but_has_not_yet_costs_nothing(
    database_url: str, tmp_path: Path, way: str
) -> None:
    async with says_goodbye_early(database_url, tmp_path) as (url, goodbye):
        pool = make_database(url, pool_size=1)
        await one(pool)
        goodbye()
        await asyncio.sleep(0.05)  # the words are there before the next statement
        if way.startswith("fetch"):
            assert await (told if way == "fetch" else told_among_others)(pool) == "Điều 5"
        else:
            async with getattr(pool, way)() as db:
                assert (await db.execute(text("SELECT 2"))).scalar_one() == 2
        assert pool.pool_status().replaced_total == 1
        await pool.aclose()


async def test_a_read_under_way_is_run_again_when_its_connection_is_cut(make_pool: MakePool) -> None:
    pool = make_pool()
    reading = asyncio.create_task(one(pool, "SELECT 5 FROM pg_sleep(0.5)"))
    while not await one(pool, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT 5 FROM%'"):
        pass
    await cut_everything(pool)
    assert await reading == 5


async def test_a_write_under_way_fails_and_is_not_run_twice(make_pool: MakePool) -> None:
    pool = make_pool()
    async with pool.write() as db:
        await db.execute(text("CREATE TABLE IF NOT EXISTS written_once (n int)"))
    with pytest.raises(DatabaseUnavailable, match="does not answer"):
        async with pool.write() as db:
            await db.execute(text("INSERT INTO written_once VALUES (1)"))
            await cut_everything(pool)
            await db.execute(text("INSERT INTO written_once VALUES (2)"))
    assert await one(pool, "SELECT count(*) FROM written_once") == 0
    async with pool.write() as db:
        await db.execute(text("DROP TABLE written_once"))


async def test_a_change_in_one_statement_is_done_once_or_it_is_said_that_nobody_knows(
    make_pool: MakePool,
) -> None:
    pool = make_pool()
    table = Table("changed_once", MetaData(), Column("n", Integer, primary_key=True))
    added = insert(table).values(n=bindparam("given", type_=Integer())).returning(table.c.n).cte("added")
    add = Fixed(select(added.c.n))
    async with pool.write() as db:
        await db.execute(text("CREATE TABLE changed_once (n int PRIMARY KEY)"))
    try:
        await fill(pool, 4)
        await cut_everything(pool)
        try:
            made = await pool.change(add, {"given": 1})
        except Unsettled:  # its connection was cut, and nobody had noticed: it has not been done
            made = await pool.change(add, {"given": 1})
        assert [row.n for row in made] == [1]
        with pytest.raises(Unsettled):
            await pool.change(add, {"given": 1})
        async with pool.write() as db:
            await db.execute(text("LOCK TABLE changed_once"))
            waiting = asyncio.create_task(pool.change(add, {"given": 2}))
            while not await one(pool, "SELECT count(*) FROM pg_locks WHERE NOT granted"):
                pass
            await one(pool, "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE NOT granted")
            with pytest.raises(Unsettled):
                await waiting
        assert await one(pool, "SELECT array_agg(n) FROM changed_once") == [1]
        assert pool.pool_status().in_use == 0
    finally:
        async with pool.write() as db:
            await db.execute(text("DROP TABLE changed_once"))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["restarted", "crashed"])
async def test_a_restart_of_postgresql_fails_no_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: signal.Signals
) -> None:
    monkeypatch.setattr(connections, "RESTART_SECONDS", 15.0)  # a busy machine takes long to restart it
    folder = tmp_path / "postgres"
    async with embedded_postgres(folder) as url:
        pool = make_database(url)
        await fill(pool, 4)
        before = await one(pool, "SELECT pg_postmaster_start_time()")
        load = asyncio.create_task(busy_until(lambda: stopping.done(), pool))

        async def restarted() -> None:
            os.kill(postmaster(folder), how)
            while await one(pool, "SELECT pg_postmaster_start_time()") == before:
                await asyncio.sleep(0.01)

        stopping = asyncio.create_task(restarted())
        await asyncio.wait_for(stopping, 20)
        assert await load >= 8
        await pool.aclose()


async def test_a_server_that_stays_away_is_waited_for_once_and_then_no_longer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(connections, "RESTART_SECONDS", 0.5)
    pool = make_database(f"postgresql+asyncpg://a@/b?host={tmp_path}")
    spent = []
    for _ in range(2):
        started = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match="does not answer"):
            await one(pool)
        spent.append(time.monotonic() - started)
    assert spent[0] >= 0.5 > spent[1]


@pytest.mark.parametrize("ask", [one, told, told_among_others], ids=["read", "fetch", "fetch among others"])
async def test_a_server_that_lets_nobody_in_yet_or_any_more_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ask: Callable[..., Coroutine[Any, Any, object]]
) -> None:
    monkeypatch.setattr(connections, "RESTART_SECONDS", 0.5)
    folder = tmp_path / "postgres"
    async with embedded_postgres(folder) as url:
        inside, outside = make_database(url), make_database(url)
        async with inside.read() as db:
            await db.execute(text("SELECT 1"))
            os.kill(postmaster(folder), signal.SIGTERM)  # ends once those inside have left
            with pytest.raises(DatabaseUnavailable, match="does not answer"):
                await ask(outside)
            with pytest.raises(Unsettled):
                await outside.change(SLOW, {"told": "", "seconds": 0.0})
        await inside.aclose()
        await outside.aclose()


async def test_a_slow_statement_is_ended_and_its_connection_serves_on(make_pool: MakePool) -> None:
    pool = make_pool(pool_size=1, statement_timeout_seconds=0.2)
    async with pool.read() as db:
        pid = await backend(db)
        with pytest.raises(Exception, match="statement timeout"):
            await db.execute(text("SELECT pg_sleep(5)"))
    with pytest.raises(DatabaseUnavailable, match="takes too long"):
        await one(pool, "SELECT pg_sleep(5)")
    assert await one(pool, "SELECT pg_backend_pid()") == pid


async def test_a_server_that_hangs_is_waited_for_no_longer_than_for_a_slow_one(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.storage.database.HANGS_SECONDS", 0.3)
    pool = make_pool(statement_timeout_seconds=0.2)
    pid = 0
    try:
        with pytest.raises(DatabaseUnavailable, match="does not answer"):
            async with asyncio.timeout(10), pool.read() as db:
                pid = await backend(db)
                os.kill(pid, signal.SIGSTOP)
                await db.execute(text("SELECT 1"))
        assert await one(pool) == 1
        os.kill(pid, signal.SIGCONT)
        pid = await one(pool, "SELECT pg_backend_pid()")  # the one that is given out next
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(DatabaseUnavailable, match="does not answer"):
            async with asyncio.timeout(10):
                await told(pool)
        assert await told(pool) == "Điều 5"
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_a_connection_idle_for_long_is_asked_before_it_is_given_out(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "ASK_AFTER_SECONDS", 0)
    monkeypatch.setattr(connections, "ASK_SECONDS", 0.2)
    pool = make_pool(pool_size=1)
    pid = await one(pool, "SELECT pg_backend_pid()")
    assert await one(pool, "SELECT pg_backend_pid()") == pid
    os.kill(pid, signal.SIGSTOP)  # as mute as one behind a firewall that forgot it
    try:
        assert await one(pool, "SELECT pg_backend_pid()") != pid
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_a_transaction_left_idle_is_ended_by_the_server(make_pool: MakePool) -> None:
    pool = make_pool(server_settings={"idle_in_transaction_session_timeout": "100"})
    with pytest.raises(DatabaseUnavailable, match="does not answer"):
        async with pool.write() as db:
            pid = await backend(db)
            while await one(pool, f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}"):
                await asyncio.sleep(0.02)
            await db.execute(text("SELECT 1"))
    assert await one(pool) == 1


async def test_no_room_for_temporary_files_is_said_and_harms_nothing_else(make_pool: MakePool) -> None:
    pool = make_pool(server_settings={"temp_file_limit": "1MB", "work_mem": "64kB"})
    with pytest.raises(DatabaseUnavailable, match="no room for its temporary files"):
        await one(
            pool, "SELECT count(*) FROM (SELECT DISTINCT md5(n::text) FROM generate_series(1, 200000) n) t"
        )
    assert await one(pool) == 1


async def test_waiting_for_a_connection_is_bounded_fair_and_counted(make_pool: MakePool) -> None:
    pool = make_pool(pool_size=1, pool_timeout_seconds=0.3)
    order: list[int] = []

    async def client(number: int) -> None:
        for _ in range(2):
            async with pool.read():
                order.append(number)

    async with pool.write() as db:
        await db.execute(text("SELECT 1"))
        clients = [asyncio.create_task(client(number)) for number in range(3)]
        await asyncio.sleep(0)
        assert pool.pool_status().waiting == 3
        assert pool.pool_status().in_use == 1
    await asyncio.gather(*clients)
    assert order == [0, 1, 2, 0, 1, 2]

    async with pool.read():
        started = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match="DATABASE_POOL_SIZE"):
            await one(pool)
        assert 0.25 < time.monotonic() - started < 2
    status = pool.pool_status()
    assert (status.waiting, status.in_use, status.idle, status.timeouts_total) == (0, 0, 1, 1)
    assert status.wait_seconds_total > 0.25
    assert status == PoolStatus(False, 1, 0, 1, 0, status.acquired_total, status.wait_seconds_total, 1, 0)


@pytest.mark.parametrize("ask", [one, told], ids=["read", "fetch"])
async def test_a_server_without_a_free_connection_is_called_busy(
    make_pool: MakePool, database_url: str, ask: Callable[..., Coroutine[Any, Any, object]]
) -> None:
    owner = make_pool()
    async with owner.write() as db:
        await db.execute(text("DROP ROLE IF EXISTS one_at_a_time"))
        await db.execute(text("CREATE ROLE one_at_a_time LOGIN CONNECTION LIMIT 1"))
    pool = make_database(database_url.replace("postgres@", "one_at_a_time@"))
    async with pool.read():
        with pytest.raises(DatabaseUnavailable, match="max_connections"):
            await ask(pool)
    await pool.aclose()


@pytest.mark.parametrize("ask", [one, told], ids=["read", "fetch"])
async def test_a_refused_login_is_said_as_such(
    database_url: str, ask: Callable[..., Coroutine[Any, Any, object]]
) -> None:
    pool = make_database(database_url.replace("postgres@", "nobody_known@"))
    with pytest.raises(DatabaseUnavailable, match="refuses the login"):
        await ask(pool)
