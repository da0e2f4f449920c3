"""With a copy of sessions in Redis, what is read is what PostgreSQL holds, whatever becomes of Redis."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from engine.answering.model import Answer, Citation, Receipt, StageTiming
from engine.chat.model import Session, Turn
from engine.chat.store import SessionStore
from engine.documents.model import DocumentFilter, Passage
from engine.engine import Engine, open_engine
from engine.errors import DatabaseUnavailable
from engine.retrieval.model import Candidate
from engine.settings import Settings
from engine.storage.embedded import embedded_postgres
from tests.redis_server import RedisServer, binaries, running

pytestmark = pytest.mark.anyio

TEXT = "Bảo đảm dự thầu là 3%. Hiệu lực 180 ngày."
PASSAGE = Passage(1, 1, "Luật Đấu thầu", "docx", "active", 1, 0, TEXT, "Điều 14", "", 3, 0, len(TEXT), "hash")


def answer(question: str, text: str = "Bảo đảm dự thầu là 3%. [1]") -> Answer:
    return Answer(
        question=question,
        standalone_question=question,
        text=text,
        kind="quotes",
        citations=(Citation(1, PASSAGE, 0, 22),),
        sources=(Candidate(PASSAGE, 1.5, 0.8, 1.0, None, 1 / 3),),
        confidence=0.9,
        receipt=Receipt(
            stages=(StageTiming("search", 1.25),),
            models={"embedder": "e5"},
            settings={"k": 5, "threshold": 1.0, "on": True},
        ),
    )


async def add(engine: Engine, session: Session, question: str, replaces: int | None = None) -> int:
    return await engine.sessions.add_turn(
        session.id,
        answer(question),
        mode="fast",
        filter=DocumentFilter(tags=("luật",)),
        replaces=replaces,
    )


async def truth(engine: Engine, session: Session, latest: int | None = None) -> list[Turn]:
    """The turns as PostgreSQL has them."""
    return await SessionStore(engine.database).turns(session.id, latest)


async def check(engine: Engine, session: Session) -> list[Turn]:
    """What is read, which must be the truth; twice, since the first look may write the copy."""
    expected = await truth(engine, session)
    assert await engine.sessions.turns(session.id) == expected
    await engine.sessions.hot.settle()
    assert await engine.sessions.turns(session.id) == expected
    return expected


def questions(turns: list[Turn]) -> list[str]:
    return [turn.answer.question for turn in turns]


async def usable(engine: Engine) -> None:
    """Wait until the engine has noticed that Redis is back."""
    async with asyncio.timeout(15):
        while not engine.sessions.hot.usable:
            await asyncio.sleep(0.01)


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    with running(tmp_path / "redis", binaries()["valkey"]) as server:
        yield server


@pytest.fixture
def settings(make_settings: Callable[..., Settings], redis_server: RedisServer) -> Settings:
    # A busy test machine must not look like a slow Redis.
    return make_settings(enable_redis_sessions=True, redis_url=redis_server.url, redis_timeout_seconds=1)


@pytest.fixture
async def engines(settings: Settings) -> AsyncIterator[tuple[Engine, Engine]]:
    """Two processes' worth: pools, clients and stores of their own, one database, one Redis."""
    async with open_engine(settings) as one, open_engine(settings) as other:
        yield one, other


@asynccontextmanager
async def reopened(settings: Settings) -> AsyncIterator[Engine]:
    async with open_engine(settings) as engine:
        yield engine


async def test_two_processes_see_one_session(engines: tuple[Engine, Engine]) -> None:
    one, other = engines
    session = await one.sessions.create()
    await add(one, session, "first")
    assert questions(await other.sessions.turns(session.id)) == ["first"]
    await add(other, session, "second")
    assert questions(await one.sessions.turns(session.id)) == ["first", "second"]
    assert questions(await one.sessions.turns(session.id, 1)) == ["second"]
    # All of it from Redis: turns are written through, and a copy is no less than the original.
    assert (one.sessions.hot.hits, other.sessions.hot.hits) == (2, 1)
    assert (one.sessions.hot.misses, other.sessions.hot.misses) == (0, 0)
    await check(one, session)


async def test_every_kind_of_change_is_seen_at_once(engines: tuple[Engine, Engine]) -> None:
    one, other = engines
    session = await one.sessions.create()
    ids = [await add(one, session, f"question {n}") for n in range(3)]
    await check(other, session)

    await one.sessions.vote(ids[1], "down", "wrong article")
    assert [turn.vote for turn in await check(other, session)] == [None, "down", None]
    await one.sessions.vote(ids[1], None)
    assert [turn.vote for turn in await check(other, session)] == [None, None, None]

    await add(other, session, "better question", replaces=ids[1])
    assert questions(await check(one, session)) == ["question 0", "better question"]
    await add(other, session, "the only question", replaces=ids[0])
    assert questions(await check(one, session)) == ["the only question"]

    await one.sessions.delete(session.id)
    assert await other.sessions.turns(session.id) == []
    await other.sessions.restore(session.id)
    assert questions(await check(one, session)) == ["the only question"]


async def test_turns_written_by_both_at_once_are_all_kept_in_order(engines: tuple[Engine, Engine]) -> None:
    one, other = engines
    session = await one.sessions.create()

    async def tab(engine: Engine, name: str) -> None:
        for n in range(8):
            await add(engine, session, f"{name} {n}")
            read = await engine.sessions.turns(session.id)
            assert f"{name} {n}" in questions(read)  # nobody misses their own words
            assert [turn.position for turn in read] == [*range(len(read))]

    await asyncio.gather(tab(one, "left"), tab(other, "right"))
    turns = await check(one, session)
    assert await other.sessions.turns(session.id) == turns
    assert [turn.position for turn in turns] == [*range(16)]
    for name in ("left", "right"):
        assert [q for q in questions(turns) if name in q] == [f"{name} {n}" for n in range(8)]


async def test_a_flush_loses_nothing(engines: tuple[Engine, Engine], redis_server: RedisServer) -> None:
    one, other = engines
    session = await one.sessions.create()
    await add(one, session, "before")
    redis_server.client().flushall()
    assert questions(await check(other, session)) == ["before"]
    redis_server.client().flushall()
    await add(one, session, "after")  # there is no copy that it could be appended to
    assert questions(await check(other, session)) == ["before", "after"]


async def test_a_redis_that_stops_and_comes_back_loses_nothing(
    engines: tuple[Engine, Engine], redis_server: RedisServer
) -> None:
    one, other = engines
    session = await one.sessions.create()
    await add(one, session, "before")
    redis_server.stop()
    await add(one, session, "meanwhile")
    assert questions(await check(other, session)) == ["before", "meanwhile"]
    assert one.sessions.hot.errors
    redis_server.start()
    await usable(one)
    await usable(other)
    await add(other, session, "after")
    assert questions(await check(one, session)) == ["before", "meanwhile", "after"]


async def test_a_redis_that_comes_back_with_what_it_had_serves_nothing_old(
    engines: tuple[Engine, Engine], redis_server: RedisServer
) -> None:
    one, other = engines
    session = await one.sessions.create()
    turn_id = await add(one, session, "before")
    with redis_server.client() as client:
        client.save()
    redis_server.stop()
    await add(one, session, "meanwhile")
    await one.sessions.vote(turn_id, "up")
    await check(other, session)  # which notices, too
    redis_server.start()
    await usable(one)
    await usable(other)
    with redis_server.client() as client:
        assert client.keys(f"*{session.id}*")  # the copy of one turn
    hits = other.sessions.hot.hits
    assert questions(await check(other, session)) == ["before", "meanwhile"]
    assert other.sessions.hot.hits == hits + 1  # Redis was asked, and served only what it was given since


async def test_a_redis_that_was_away_from_one_process_serves_nothing_old(
    engines: tuple[Engine, Engine], redis_server: RedisServer
) -> None:
    """A paused server keeps its copies, which are out of date when it goes on."""
    one, other = engines
    session = await one.sessions.create()
    await add(one, session, "before")
    await check(other, session)
    redis_server.pause()
    started = time.monotonic()
    await add(one, session, "meanwhile")
    assert questions(await other.sessions.turns(session.id)) == ["before", "meanwhile"]
    assert time.monotonic() - started < 5  # a time-out each, and no more
    redis_server.resume()
    await usable(one)
    await usable(other)
    assert questions(await check(other, session)) == ["before", "meanwhile"]
    assert questions(await check(one, session)) == ["before", "meanwhile"]


async def test_a_full_redis_still_serves_what_it_has_and_nothing_old(
    engines: tuple[Engine, Engine], redis_server: RedisServer
) -> None:
    one, other = engines
    session, later = await one.sessions.create(), await one.sessions.create()
    await add(one, session, "before")
    with redis_server.client() as client:
        client.config_set("maxmemory", 1)
        hits = other.sessions.hot.hits
        assert questions(await other.sessions.turns(session.id)) == ["before"]
        assert other.sessions.hot.hits == hits + 1
        await add(one, session, "refused")
        await add(one, later, "refused too")
        assert one.sessions.hot.errors
        assert questions(await check(other, session)) == ["before", "refused"]
        assert questions(await check(other, later)) == ["refused too"]
        client.config_set("maxmemory", 0)
    await check(other, session)
    await add(one, session, "after")
    assert questions(await check(other, session)) == ["before", "refused", "after"]


async def test_more_turns_than_the_copy_holds_are_all_there(
    settings: Settings, redis_server: RedisServer
) -> None:
    async with reopened(settings.model_copy(update={"session_max_messages": 3})) as engine:
        session = await engine.sessions.create()
        for n in range(7):
            await add(engine, session, f"question {n}")
        with redis_server.client() as client:
            (key,) = client.keys(f"dossier:session:{settings.database_schema}:{session.id}:*")
            assert client.llen(key) == 3
            assert 0 < client.ttl(key) <= settings.session_ttl_seconds
        for latest in (1, 3, 4, 7, 20, None, 0):
            assert await engine.sessions.turns(session.id, latest) == await truth(engine, session, latest)
        assert engine.sessions.hot.hits == 2  # the latest one, and the latest three


async def test_a_restart_loses_nothing(settings: Settings, redis_server: RedisServer) -> None:
    async with reopened(settings) as engine:
        session = await engine.sessions.create()
        await add(engine, session, "first")
    async with reopened(settings) as engine:
        assert questions(await check(engine, session)) == ["first"]
        assert engine.sessions.hot.hits
        await add(engine, session, "second")
    redis_server.stop()
    async with reopened(settings) as engine:  # nor does a start without Redis
        assert questions(await check(engine, session)) == ["first", "second"]


async def test_a_killed_postgresql_loses_no_turn_and_no_copy_stands_in_for_it(
    make_settings: Callable[..., Settings], redis_server: RedisServer, tmp_path: Path
) -> None:
    folder = tmp_path / "postgres"
    async with embedded_postgres(folder) as url:
        settings = make_settings(
            database_url=url, enable_redis_sessions=True, redis_url=redis_server.url, redis_timeout_seconds=1
        )
        async with open_engine(settings) as engine:
            session = await engine.sessions.create()
            await add(engine, session, "before")
            postmaster = psutil.Process(int((folder / "postmaster.pid").read_text().splitlines()[0]))
            for process in (postmaster, *postmaster.children()):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            async with asyncio.timeout(30):
                while True:
                    with contextlib.suppress(DatabaseUnavailable):
                        # There is a copy, but nobody to vouch for it before the server is back.
                        assert questions(await engine.sessions.turns(session.id)) == ["before"]
                        assert int((folder / "postmaster.pid").read_text().split()[0]) != postmaster.pid
                        break
                    await asyncio.sleep(0.1)
            await add(engine, session, "after")
            assert questions(await check(engine, session)) == ["before", "after"]


async def test_a_copy_that_cannot_be_read_is_passed_over(
    engines: tuple[Engine, Engine], redis_server: RedisServer
) -> None:
    one, _ = engines
    session = await one.sessions.create()
    await add(one, session, "first")
    with redis_server.client() as client:
        (key,) = client.keys(f"*{session.id}*")
        client.lset(key, 0, b"\x00{not a turn")
    assert questions(await check(one, session)) == ["first"]
