"""Three layers as one cache: computed once, copied up, never in the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgpack
import pytest

from engine.caching.layered import Codec, LayeredCache
from engine.caching.memory import MemoryLayer
from engine.caching.postgres import PostgresLayer
from engine.caching.redis import RedisLayer
from engine.observability.trace import tracing
from engine.storage.database import Database
from engine.storage.migrate import migrate
from engine.storage.redis import RedisClient
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio

CODEC: Codec[str] = Codec("text", str.encode, bytes.decode, len)
Open = Callable[..., LayeredCache[str]]


class Computation:
    def __init__(self, value: str = "computed") -> None:
        self.runs = 0
        self.value = value
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self) -> str:
        self.runs += 1
        await self.go.wait()
        return self.value


@pytest.fixture(scope="module")
async def database(database_url: str) -> AsyncIterator[Database]:
    pool = Database(
        database_url, schema="caching", pool_size=4, pool_timeout_seconds=5, statement_timeout_seconds=5
    )
    await migrate(pool)
    yield pool
    await pool.aclose()


@pytest.fixture
async def lasting(database: Database) -> AsyncIterator[PostgresLayer]:
    layer = PostgresLayer(database, max_bytes=10_000)
    yield layer
    await layer.clear()


@pytest.fixture
async def shared(redis_server: RedisServer) -> AsyncIterator[RedisLayer]:
    client = RedisClient(redis_server.url, probe_seconds=0.05)
    yield RedisLayer(client, "test:")
    await client.aclose()


def process(*lower: Any, **options: Any) -> LayeredCache[str]:
    """The cache as a process of its own would have it."""
    memory: MemoryLayer[str] = MemoryLayer(maxsize=100, max_bytes=100_000, size=len)
    return LayeredCache("x", CODEC, memory, lower, seconds=60, **options)


async def test_a_thousand_identical_misses_compute_once() -> None:
    cache, work = process(), Computation()
    work.go.clear()
    callers = [asyncio.create_task(cache.get(["key"], work)) for _ in range(1000)]
    await asyncio.sleep(0)
    work.go.set()
    assert set(await asyncio.gather(*callers)) == {"computed"}
    assert work.runs == 1


async def test_a_caller_that_gives_up_does_not_stop_the_others() -> None:
    cache, work = process(), Computation()
    work.go.clear()
    first = asyncio.create_task(cache.get(["key"], work))
    second = asyncio.create_task(cache.get(["key"], work))
    await asyncio.sleep(0)
    first.cancel()
    work.go.set()
    assert await second == "computed"


async def test_errors_and_degraded_values_are_not_kept(shared: RedisLayer, lasting: PostgresLayer) -> None:
    cache = process(shared, lasting, keep=lambda value: value != "degraded")

    async def fails() -> str:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await cache.get(["key"], fails)
    assert await cache.get(["key"], Computation("degraded")) == "degraded"
    assert await cache.get(["key"], Computation("whole")) == "whole"
    await cache.drain()
    assert await process(shared, lasting).get(["key"], Computation("never computed")) == "whole"


async def test_what_one_process_computed_others_find_lower_down_and_copy_up(
    shared: RedisLayer, lasting: PostgresLayer
) -> None:
    first, second, never = process(shared, lasting), process(shared, lasting), Computation("never")
    served = []

    async def ask(cache: LayeredCache[str], work: Computation) -> None:
        with tracing() as trace:
            assert await cache.get(["key"], work) == "computed"
        served.append(trace.cache["x"])
        await cache.drain()

    await ask(first, Computation())
    await ask(first, never)
    await ask(second, never)
    await shared.clear()
    await ask(process(shared, lasting), never)
    await ask(process(shared, lasting), never)  # from what the look-up before copied to L2
    assert served == ["miss", "L1", "L2", "L3", "L2"]
    assert never.runs == 0
    assert (shared.counts.hits, lasting.counts.hits) == (2, 1)


async def test_two_processes_that_miss_at_once_compute_once(shared: RedisLayer) -> None:
    first, second = process(shared), process(shared)
    work, other = Computation(), Computation("computed twice")
    work.go.clear()
    asked = asyncio.create_task(first.get(["key"], work))
    async with asyncio.timeout(5):
        while not work.runs:
            await asyncio.sleep(0.001)
    also = asyncio.create_task(second.get(["key"], other))
    await asyncio.sleep(0)
    work.go.set()
    assert await asyncio.gather(asked, also) == ["computed", "computed"]
    assert other.runs == 0


async def test_a_process_that_dies_while_computing_keeps_the_others_not_for_long(
    shared: RedisLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.caching.layered.WAIT_SECONDS", 0.05)
    cache = process(shared)
    assert await shared.lock(cache.digest(["key"]))  # and its owner is never heard of again
    assert await cache.get(["key"], Computation()) == "computed"


async def test_without_redis_everything_still_works(
    shared: RedisLayer, lasting: PostgresLayer, redis_server: RedisServer
) -> None:
    cache = process(shared, lasting)
    redis_server.stop()
    assert await cache.get(["key"], Computation()) == "computed"
    await cache.drain()
    assert shared.counts.errors > 0
    never = Computation("never")
    assert await process(shared, lasting).get(["key"], never) == "computed"
    assert never.runs == 0


async def test_what_can_be_nowhere_yet_is_looked_for_nowhere(lasting: PostgresLayer) -> None:
    cache, never = process(lasting), Computation("never")
    assert await cache.get(["key"], Computation(), new=True) == "computed"
    assert lasting.counts.misses == 0
    assert await cache.get(["key"], never, new=True) == "computed"
    await cache.drain()
    assert await process(lasting).get(["key"], never) == "computed"
    assert never.runs == 0


async def test_what_is_set_at_once_is_written_at_once(database: Database, lasting: PostgresLayer) -> None:
    before = database.pool_status().acquired_total
    await asyncio.gather(*(lasting.set(f"key {n}", bytes([n]), 60) for n in range(20)))
    await lasting.set("key 3", b"another", 60)
    assert database.pool_status().acquired_total == before + 2
    assert lasting.counts.writes == 21
    assert [await lasting.get(f"key {n}") for n in (2, 3, 4)] == [b"\x02", b"another", b"\x04"]


async def test_bytes_that_cannot_be_read_are_computed_anew(lasting: PostgresLayer) -> None:
    cache = process(lasting)
    await lasting.set(cache.digest(["key"]), b"\xff\xfe", 60)
    assert await cache.get(["key"], Computation()) == "computed"


async def test_clearing_redis_leaves_what_is_not_ours(shared: RedisLayer, redis_server: RedisServer) -> None:
    await shared.set("a", b"x", 60)
    with redis_server.client() as client:
        client.set("somebody else's", "y")
        await shared.clear()
        assert client.keys() == [b"somebody else's"]


async def test_the_lasting_layer_stays_within_its_bytes(lasting: PostgresLayer) -> None:
    for n in range(20):
        await lasting.set(f"key {n}", b"x" * 1000, 60 + n)
    await lasting.set("expired", b"x", -1)
    assert await lasting.get("expired") is None
    await lasting.prune()
    usage = await lasting.usage()
    assert usage is not None
    assert usage.bytes == 10_000
    assert await lasting.get("key 19") is not None  # those nearest their end went
    assert await lasting.get("key 0") is None


async def test_keys_hold_everything_they_are_made_of() -> None:
    cache = process()
    keys: list[list[object]] = [["a"], ["b"], ["a", 1], ["a", "1"], [["a"]], ["a", None], ["a", 1.5]]
    assert len({cache.digest(key) for key in keys}) == len(keys)
    assert msgpack.packb("a") not in cache.digest(["a"]).encode()
