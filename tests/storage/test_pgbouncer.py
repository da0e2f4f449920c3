"""Through a real pgBouncer, in transaction mode: the same, from many processes, over few connections."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pgvector import HalfVector
from sqlalchemy import text

from engine.documents.jobs import Upload
from engine.errors import BadInput, DatabaseUnavailable
from engine.retrieval.vector import SERVER_SETTINGS
from engine.settings import load_settings
from engine.storage import connections
from engine.storage.database import Database, driver, setting
from engine.storage.embedded import embedded_postgres
from tests.conftest import OpenEngine
from tests.storage.pgbouncer import PgBouncer, running
from tests.storage.test_embedded import postmaster
from tests.storage.test_pools import busy_until, cut_everything, fill, make_database, one, told

pytestmark = pytest.mark.anyio


def through(bouncer: PgBouncer, **changed: Any) -> Database:
    pooled = bouncer.url.replace("postgresql://", "postgresql+asyncpg://")
    direct = changed.pop("url", bouncer.postgres.replace("postgresql://", "postgresql+asyncpg://"))
    return make_database(direct, **({"pooled_url": pooled} | changed))


@pytest.fixture(scope="module")
def bouncer(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PgBouncer]:
    """As `start` configures it, in front of the run's PostgreSQL."""
    postgres = database_url.replace("+asyncpg", "")
    with running(tmp_path_factory.mktemp("pgbouncer"), postgres, default_pool_size=5) as server:
        yield server


@pytest.fixture
async def pool(bouncer: PgBouncer) -> AsyncIterator[Database]:
    made = through(bouncer, server_settings={"work_mem": "1MB"}, schema="elsewhere")
    yield made
    await made.aclose()


async def test_every_transaction_has_its_settings_and_takes_them_along(
    pool: Database, bouncer: PgBouncer
) -> None:
    for block in (pool.read, pool.write):
        async with block() as db:
            for name, value in {
                "search_path": "elsewhere, public",
                "statement_timeout": "10s",
                "idle_in_transaction_session_timeout": "1min",
                "jit": "off",
                "work_mem": "1MB",
            }.items():
                assert (await db.execute(text(f"SHOW {name}"))).scalar_one() == value, name
            async with setting(db, "work_mem", "2MB"):
                assert (await db.execute(text("SHOW work_mem"))).scalar_one() == "2MB"
    # Another client, on the very same server connection.
    other = await asyncpg.connect(bouncer.url, statement_cache_size=0)
    assert await other.fetchval("SELECT current_setting('search_path')") == '"$user", public'
    assert await other.fetchval("SELECT current_setting('work_mem')") == "4MB"
    await other.close()


async def test_vectors_and_copy_work_and_leave_no_prepared_statement(
    bouncer: PgBouncer, pool: Database
) -> None:
    async with pool.direct() as db:
        await db.execute(text("CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public"))
        await db.execute(text("CREATE TABLE public.bounced (id int, v halfvec(2))"))

    async def add(number: int) -> None:
        async with pool.write() as db:
            await db.execute(text("SELECT 1"))
            await (await driver(db)).copy_records_to_table(
                "bounced", records=[(number, HalfVector([number, 1]))], columns=["id", "v"]
            )

    await asyncio.gather(*(add(number) for number in range(20)))
    nearest = text("SELECT id FROM bounced ORDER BY v <-> :v LIMIT 1")
    async with pool.read() as db:
        assert (await db.execute(nearest, {"v": HalfVector([7, 1])})).scalar_one() == 7
    left = await asyncio.gather(
        *(one(pool, "SELECT count(*) FROM pg_prepared_statements, pg_sleep(0.1)") for _ in range(5))
    )
    assert left == [0] * 5
    async with pool.direct() as db:
        await db.execute(text("DROP TABLE public.bounced"))


async def test_a_hundred_clients_of_several_processes_share_five_server_connections(
    bouncer: PgBouncer,
) -> None:
    pools = [through(bouncer, pool_size=20) for _ in range(5)]
    answers = await asyncio.gather(
        *(one(pool, f"SELECT {n} FROM pg_sleep(0.02)") for pool in pools for n in range(100))
    )
    assert answers == list(range(100)) * 5
    assert all(pool.pool_status().idle == 20 for pool in pools)
    used = await one(
        pools[0],
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND application_name = 'dossier'",
    )
    assert used <= 10  # five, and five in reserve
    for pool in pools:
        await pool.aclose()


async def test_turns_are_kept_through_it_those_at_once_too(
    bouncer: PgBouncer, open_test_engine: OpenEngine
) -> None:
    async with open_test_engine(use_pgbouncer=True, pgbouncer_url=bouncer.url) as engine:
        session = (await engine.sessions.create("Meals")).id
        await asyncio.gather(*(engine.ask(f"Which meals, {n}?", session_id=session) for n in range(4)))
        turns = await engine.sessions.turns(session)
        assert {turn.answer.question for turn in turns} == {f"Which meals, {n}?" for n in range(4)}
        assert len({turn.position for turn in turns}) == len(turns) == 4


async def test_a_password_is_asked_for_and_a_wrong_one_refused(bouncer: PgBouncer) -> None:
    right = through(bouncer)
    assert await one(right) == 1
    wrong = through(
        bouncer, pooled_url=f"postgresql+asyncpg://postgres:guess@127.0.0.1:{bouncer.port}/dossier"
    )
    started = time.monotonic()
    with pytest.raises(DatabaseUnavailable, match="refuses the login"):
        await one(wrong)
    assert time.monotonic() - started < 2
    await right.aclose()


async def test_cut_server_connections_cost_no_read(bouncer: PgBouncer) -> None:
    pool = through(bouncer)
    await fill(pool, 4)
    for _ in range(3):
        await cut_everything(pool)
        assert await asyncio.gather(*(one(pool) for _ in range(20))) == [1] * 20
        assert await asyncio.gather(*(told(pool) for _ in range(20))) == ["Điều 5"] * 20
    await pool.aclose()


async def test_a_restart_of_pgbouncer_fails_no_read(database_url: str, tmp_path: Path) -> None:
    with running(tmp_path / "bouncer", database_url.replace("+asyncpg", "")) as server:
        pool = through(server)
        await fill(pool, 4)
        load = asyncio.create_task(busy_until(lambda: restarting.done(), pool))

        async def restarted() -> None:
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
            await one(pool)

        restarting = asyncio.create_task(restarted())
        await restarting
        assert await load >= 8
        assert pool.pool_status().replaced_total >= 4
        await pool.aclose()


async def test_without_pgbouncer_it_is_said_and_with_it_again_all_is_well(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "RESTART_SECONDS", 0.3)
    with running(tmp_path / "bouncer", database_url.replace("+asyncpg", "")) as server:
        pool = through(server)
        await fill(pool, 4)
        server.stop()
        with pytest.raises(DatabaseUnavailable, match="does not answer"):
            await one(pool)
        started = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match="does not answer"):
            await one(pool)
        assert time.monotonic() - started < 0.3
        async with pool.direct() as db:  # needs no pgBouncer
            assert (await db.execute(text("SELECT 1"))).scalar_one() == 1
        await asyncio.to_thread(server.start)
        assert await one(pool) == 1
        await pool.aclose()


async def test_a_restart_of_postgresql_behind_it_fails_no_read(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    async with embedded_postgres(folder) as url:
        # The embedded server is found by its folder.
        with running(tmp_path / "bouncer", str(folder)) as server:
            pool = through(server, url=url)
            await fill(pool, 4)
            before = await one(pool, "SELECT pg_postmaster_start_time()")
            load = asyncio.create_task(busy_until(lambda: restarting.done(), pool))

            async def restarted() -> None:
                os.kill(postmaster(folder), 2)
                while await one(pool, "SELECT pg_postmaster_start_time()") == before:
                    await asyncio.sleep(0.01)

            restarting = asyncio.create_task(restarted())
            await asyncio.wait_for(restarting, 20)
            assert await load >= 8
            await pool.aclose()


async def test_a_full_pgbouncer_is_called_busy_and_serves_on(database_url: str, tmp_path: Path) -> None:
    one_only = {"default_pool_size": 1, "reserve_pool_size": 0, "query_wait_timeout": 1}
    with running(tmp_path / "bouncer", database_url.replace("+asyncpg", ""), **one_only) as server:
        pool = through(server)
        await fill(pool, 1)
        async with pool.write() as db:
            await db.execute(text("SELECT 1"))
            with pytest.raises(DatabaseUnavailable, match="default_pool_size of pgBouncer"):
                await one(pool)
            assert (await db.execute(text("SELECT 2"))).scalar_one() == 2  # the holder is not disturbed
        assert await one(pool) == 1
        await pool.aclose()


async def test_a_pgbouncer_that_takes_no_more_clients_is_called_busy(
    database_url: str, tmp_path: Path
) -> None:
    with running(tmp_path / "bouncer", database_url.replace("+asyncpg", ""), max_client_conn=1) as server:
        pool = through(server)
        async with pool.read():
            with pytest.raises(DatabaseUnavailable, match="busy"):
                await one(pool)
        await pool.aclose()


async def test_a_slow_statement_is_ended_through_it_too(bouncer: PgBouncer) -> None:
    pool = through(bouncer, statement_timeout_seconds=0.2)
    with pytest.raises(DatabaseUnavailable, match="takes too long"):
        await one(pool, "SELECT pg_sleep(5)")
    assert await one(pool) == 1
    await pool.aclose()


async def test_the_whole_engine_works_through_it(bouncer: PgBouncer, open_test_engine: OpenEngine) -> None:
    note = Upload("meals.md", b"# Travel policy\n\nMeals abroad are refunded up to 45 euros a day.\n")
    async with open_test_engine(use_pgbouncer=True, pgbouncer_url=bouncer.url) as engine:
        assert engine.database.pool_status().through_pgbouncer
        (told,) = [feature for feature in await engine.features() if feature.name == "pgBouncer"]
        assert (told.asked, told.effective, told.why) == ("on", "on", "")
        job = await engine.ingestion.submit([note])
        await engine.ingestion.wait(job.id)
        answer = await engine.ask("How much is refunded for meals abroad?")
        assert "45 euros" in answer.text
        session = await engine.sessions.create("Meals")
        assert (await engine.sessions.get(session.id)).title == "Meals"
        many = await asyncio.gather(*(engine.search(f"meals abroad {n}", k=1000) for n in range(20)))
        assert all(found for found in many)
        async with engine.database.read() as db:
            await db.execute(text("SELECT CAST('[1]' AS vector)"))  # loads what knows the setting
            for name, value in SERVER_SETTINGS.items():
                assert (await db.execute(text(f"SHOW {name}"))).scalar_one() == value, name


def test_without_its_address_the_settings_are_refused() -> None:
    with pytest.raises(BadInput, match=r"PGBOUNCER_URL.*USE_PGBOUNCER needs"):
        load_settings(_env_file=None, use_pgbouncer=True)
