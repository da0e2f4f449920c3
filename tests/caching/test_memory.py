"""The in-process cache layer."""

from __future__ import annotations

import asyncio

import pytest

from engine.caching.memory import MemoryCache
from engine.observability.trace import tracing

pytestmark = pytest.mark.anyio


class Computation:
    def __init__(self) -> None:
        self.runs = 0
        self.go = asyncio.Event()

    async def __call__(self) -> int:
        self.runs += 1
        await self.go.wait()
        return self.runs


async def test_a_thousand_identical_misses_compute_once() -> None:
    cache: MemoryCache[int] = MemoryCache("x", maxsize=10, seconds=60)
    work = Computation()
    callers = [asyncio.create_task(cache.get("key", work)) for _ in range(1000)]
    await asyncio.sleep(0)
    work.go.set()
    assert set(await asyncio.gather(*callers)) == {1}
    assert work.runs == 1


async def test_a_caller_that_gives_up_does_not_stop_the_others() -> None:
    cache: MemoryCache[int] = MemoryCache("x", maxsize=10, seconds=60)
    work = Computation()
    first = asyncio.create_task(cache.get("key", work))
    second = asyncio.create_task(cache.get("key", work))
    await asyncio.sleep(0)
    first.cancel()
    work.go.set()
    assert await second == 1


async def test_errors_and_degraded_values_are_not_kept() -> None:
    cache: MemoryCache[str] = MemoryCache("x", maxsize=10, seconds=60, keep=lambda value: value != "degraded")

    async def fails() -> str:
        raise ValueError

    async def gives(value: str) -> str:
        return value

    with pytest.raises(ValueError, match=""):
        await cache.get("key", fails)
    assert await cache.get("key", lambda: gives("degraded")) == "degraded"
    assert await cache.get("key", lambda: gives("whole")) == "whole"
    assert await cache.get("key", lambda: gives("never computed")) == "whole"


async def test_the_trace_tells_which_layer_served() -> None:
    cache: MemoryCache[int] = MemoryCache("embedding", maxsize=10, seconds=60)

    async def one() -> int:
        return 1

    for expected in ("miss", "L1"):
        with tracing() as trace:
            await cache.get("key", one)
        assert trace.cache == {"embedding": expected}


async def test_the_size_is_bounded() -> None:
    cache: MemoryCache[int] = MemoryCache("x", maxsize=3, seconds=60)

    async def one() -> int:
        return 1

    for key in range(10):
        await cache.get(key, one)
    assert len(cache) == 3
