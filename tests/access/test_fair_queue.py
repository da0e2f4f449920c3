"""Turns go round among askers."""

from __future__ import annotations

import asyncio

import pytest

from engine.access.fair_queue import FairQueue
from engine.access.principal import Access, Principal, acting

pytestmark = pytest.mark.anyio

HEAVY, LIGHT = Principal("heavy", "heavy", "reader"), Principal("light", "light", "reader")


async def test_one_with_many_questions_waits_behind_one_with_one() -> None:
    queue, order = FairQueue(1, Access(on=True)), list[str]()

    async def ask(who: Principal) -> None:
        with acting(who):
            async with queue.turn():
                order.append(who.name)
                await asyncio.sleep(0)

    await asyncio.gather(*(ask(HEAVY) for _ in range(20)), ask(LIGHT), ask(LIGHT))
    assert [place for place, name in enumerate(order) if name == "light"] == [2, 4]
    assert len(order) == 22


async def test_those_who_give_up_take_no_turn_with_them() -> None:
    queue = FairQueue(2, Access(on=True))
    done = 0

    async def ask() -> None:
        nonlocal done
        with acting(HEAVY):
            async with queue.turn():
                await asyncio.sleep(0.001)
                done += 1

    tasks = [asyncio.create_task(ask()) for _ in range(50)]
    for task in tasks[::2]:
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    before = done
    await asyncio.wait_for(asyncio.gather(*(ask() for _ in range(10))), 5)
    assert done == before + 10
    async with asyncio.timeout(1):  # both are free again
        with acting(LIGHT):
            async with queue.turn():
                with acting(HEAVY):
                    async with queue.turn():
                        pass
