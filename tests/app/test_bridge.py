"""The bridge: script threads use an engine that lives on another thread's loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from app.bridge import Bridge
from engine.access.principal import OPEN
from engine.errors import NotFound


class Source:
    """Stands where the engine does; notes what became of its streams."""

    access = OPEN

    def __init__(self) -> None:
        self.put_away = threading.Event()

    async def count(self, items: int, every: float = 0.0) -> AsyncIterator[int]:
        try:
            for number in range(items):
                await asyncio.sleep(every)
                yield number
        finally:
            await asyncio.sleep(0.05)
            self.put_away.set()

    async def fail(self) -> AsyncIterator[int]:
        yield 1
        raise NotFound("gone")


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def bridge(source: Source) -> Iterator[Bridge]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    engine: Any = source
    yield Bridge(engine, loop)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_a_call_returns_and_raises_what_the_engine_does(bridge: Bridge) -> None:
    async def good(_: Any) -> int:
        await asyncio.sleep(0)
        return 3

    async def bad(_: Any) -> int:
        raise NotFound("gone")

    assert bridge.call(good) == 3
    with pytest.raises(NotFound):
        bridge.call(bad)


def test_items_come_in_order_and_the_errors_after_them(bridge: Bridge, source: Source) -> None:
    assert [item for item in bridge.follow(lambda _: source.count(100)) if item is not None] == [*range(100)]
    items = bridge.follow(lambda _: source.fail())
    assert next(items) == 1
    with pytest.raises(NotFound):
        next(items)


def test_a_silent_stream_still_lets_its_follower_look_up(bridge: Bridge, source: Source) -> None:
    items = bridge.follow(lambda _: source.count(1, every=30))
    began = time.monotonic()
    assert next(items) is None
    assert time.monotonic() - began < 2
    items.close()
    assert source.put_away.is_set()


def test_leaving_stops_the_work_and_waits_until_it_is_put_away(bridge: Bridge, source: Source) -> None:
    items = bridge.follow(lambda _: source.count(1_000_000, every=0.001))
    assert next(item for item in items if item is not None) == 0
    began = time.monotonic()
    items.close()
    assert source.put_away.is_set()
    assert time.monotonic() - began < 2
