"""Whatever happens to Redis costs at most one short wait, and heals by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from engine.errors import RedisUnavailable
from engine.storage.redis import RedisClient
from tests.redis_server import RedisServer, binaries, running

pytestmark = pytest.mark.anyio

TIMEOUT = 0.06
SLOW_LOADING = ("--key-load-delay", "50", "--loading-process-events-interval-bytes", "1024")


@pytest.fixture(params=["valkey", "redis"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer]:
    if request.param not in binaries():
        pytest.skip(f"{request.param} is not installed (Debian: apt-get install redis-server)")
    with running(tmp_path / "redis", binaries()[request.param]) as server:
        yield server


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[RedisClient]:
    client = RedisClient(server.url, timeout_seconds=TIMEOUT, probe_seconds=0.05)
    await client.run(lambda redis: redis.set("greeting", "chào"))
    yield client
    await client.aclose()


async def read(client: RedisClient) -> object:
    return await client.run(lambda redis: redis.get("greeting"))


async def back(client: RedisClient) -> None:
    """Wait until the client has noticed that Redis is well."""
    async with asyncio.timeout(10):
        while not client.status().writable:
            await asyncio.sleep(0.01)


async def test_a_stopped_redis_is_noticed_and_found_again(client: RedisClient, server: RedisServer) -> None:
    assert await read(client) == "chào".encode()
    server.stop()
    with pytest.raises(RedisUnavailable, match="cannot be reached"):
        await read(client)
    assert not client.status().reachable
    server.start()
    await back(client)
    assert await read(client) is None  # it came back empty


async def test_a_paused_redis_costs_one_time_out_and_then_nothing(
    client: RedisClient, server: RedisServer
) -> None:
    server.pause()
    started = time.perf_counter()
    refusals = await asyncio.gather(*(read(client) for _ in range(8)), return_exceptions=True)
    assert all(isinstance(refusal, RedisUnavailable) for refusal in refusals)
    assert time.perf_counter() - started >= TIMEOUT
    assert client.status().why == "it took too long"
    commands = 0

    async def count(redis: object) -> None:
        nonlocal commands
        commands += 1

    with pytest.raises(RedisUnavailable, match="left alone"):
        await client.run(count)
    assert commands == 0  # nothing was sent, so nothing is waited for
    server.resume()
    await back(client)
    assert await read(client) == "chào".encode()


async def test_more_commands_than_connections_wait_their_turn(client: RedisClient) -> None:
    assert await asyncio.gather(*(read(client) for _ in range(300))) == ["chào".encode()] * 300
    assert client.status().reachable


async def test_a_full_memory_refuses_writes_and_still_reads(client: RedisClient, server: RedisServer) -> None:
    with server.client() as operator:
        operator.config_set("maxmemory-policy", "noeviction")
        operator.config_set("maxmemory", "1")
    with pytest.raises(RedisUnavailable, match="memory is full"):
        await client.run(lambda redis: redis.set("more", "x"))
    assert await read(client) == "chào".encode()
    assert client.status().reachable
    assert client.status().why == "its memory is full"
    with server.client() as operator:
        operator.config_set("maxmemory", "0")
    await back(client)


async def test_a_read_only_replica_refuses_writes_and_still_reads(
    client: RedisClient, server: RedisServer
) -> None:
    with server.client() as operator:
        operator.config_set("replica-serve-stale-data", "yes")
        operator.replicaof("127.0.0.1", "1")
    with pytest.raises(RedisUnavailable, match="read-only replica"):
        await client.run(lambda redis: redis.set("more", "x"))
    assert await read(client) == "chào".encode()
    with server.client() as operator:
        operator.replicaof("NO", "ONE")
    await back(client)


async def test_a_redis_that_is_loading_is_left_alone_until_it_has_loaded(
    client: RedisClient, server: RedisServer
) -> None:
    with server.client() as operator:
        for start in range(0, 20_000, 1_000):
            operator.mset({f"key {n}": "x" * 100 for n in range(start, start + 1_000)})
        operator.save()
    server.stop()
    slow = RedisServer(server.folder, server.binary, *SLOW_LOADING)
    slow.port = server.port
    slow.start(wait=False)
    try:
        reasons: set[str] = set()
        async with asyncio.timeout(20):
            while "it is loading its data" not in reasons:
                try:
                    await read(client)
                except RedisUnavailable:
                    reasons.add(client.status().why)
                await asyncio.sleep(0.01)
        await back(client)
        assert await read(client) == "chào".encode()
    finally:
        slow.stop()


async def test_a_wrong_password_is_told_as_such(server: RedisServer) -> None:
    with server.client() as operator:
        operator.config_set("requirepass", "right")
    client = RedisClient(server.url.replace("//", "//:wrong@"))
    await client.connect()
    assert client.status().why == "it refuses the password"
    assert "wrong" not in client.status().why
    await client.aclose()
    client = RedisClient(server.url.replace("//", "//:right@"))
    await client.connect()
    assert client.status().writable
    await client.aclose()
