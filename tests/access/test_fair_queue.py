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
    assert [place for place, name in enumerate(order) if name == "light"] <= [2, 4]
    assert len(order) == 22


@pytest.mark.parametrize("beside", [True, False])
async def test_one_with_many_questions_rests_between_turns_while_another_asks(beside: bool) -> None:
    queue, turns, over = FairQueue(4, Access(on=True)), list[tuple[float, float]](), asyncio.Event()
    now = asyncio.get_running_loop().time

    async def heavy() -> None:
        with acting(HEAVY):
            async with queue.turn():
                began = now()
                await asyncio.sleep(0.2)
                turns.append((began, now()))

    async def light() -> None:
        while beside and not over.is_set():
            with acting(LIGHT):
                async with queue.turn():
                    await asyncio.sleep(0.01)

    asking = asyncio.create_task(light())
    await asyncio.gather(*(heavy() for _ in range(6)))
    over.set()
    await asking
    turns.sort()
    # Two at a time; the third and the fourth turn begin after the first two.
    pauses = [later[0] - earlier[1] for earlier, later in zip(turns[:2], turns[2:4], strict=True)]
    assert all((pause >= 0.19) == beside for pause in pauses), pauses


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
