"""One read for all who ask at once, and nothing older than the question."""

from __future__ import annotations

import asyncio

import pytest

from engine.storage.joined import Joined

pytestmark = pytest.mark.anyio


class Row:
    """A value that others change, and reads of it that end when they are told to."""

    def __init__(self) -> None:
        self.value = 0
        self.reads: list[asyncio.Event] = []

    async def read(self, key: str) -> int:
        value = self.value
        ended = asyncio.Event()
        self.reads.append(ended)
        await ended.wait()
        return value


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_all_who_ask_at_once_share_a_read() -> None:
    row = Row()
    joined = Joined(row.read)
    asking = [asyncio.create_task(joined("row")) for _ in range(50)]
    await settled()
    assert len(row.reads) == 1
    row.reads[0].set()
    assert await asyncio.gather(*asking) == [0] * 50


async def test_who_asks_after_a_change_is_not_given_what_was_before() -> None:
    row = Row()
    joined = Joined(row.read)
    early = asyncio.create_task(joined("row"))
    await settled()
    row.value = 1
    late = [asyncio.create_task(joined("row")) for _ in range(10)]
    await settled()
    row.reads[0].set()
    assert await early == 0
    await settled()
    row.reads[1].set()
    assert await asyncio.gather(*late) == [1] * 10
    assert len(row.reads) == 2


async def test_a_read_that_hangs_holds_up_nobody_who_asks_later() -> None:
    row = Row()
    joined = Joined(row.read)
    hangs = asyncio.create_task(joined("row"))
    await settled()
    late = asyncio.create_task(joined("row"))
    async with asyncio.timeout(5):
        while len(row.reads) < 2:
            await asyncio.sleep(0.01)
    row.reads[1].set()
    assert await late == 0
    hangs.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hangs


async def test_one_that_gives_up_does_not_take_it_from_the_others() -> None:
    row = Row()
    joined = Joined(row.read)
    first, second = (asyncio.create_task(joined("row")) for _ in range(2))
    await settled()
    first.cancel()
    await settled()
    row.reads[0].set()
    assert await second == 0


async def test_what_fails_fails_for_all_and_is_tried_anew() -> None:
    fails = True

    async def read(key: str) -> str:
        await asyncio.sleep(0)
        if fails:
            raise OSError("gone")
        return key

    joined = Joined(read)
    told = await asyncio.gather(*(joined("row") for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in told] == [OSError] * 3
    fails = False
    assert await joined("row") == "row"
