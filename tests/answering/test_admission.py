"""Questions are worked on in the order in which they came, a few at once."""

from __future__ import annotations

import asyncio

import pytest

from engine.answering.admission import Admission, aside

pytestmark = pytest.mark.anyio


async def steps(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_came_first_ends_first_whatever_it_takes() -> None:
    admission, ended, inside, most = Admission(2), list[int](), 0, 0

    async def work(number: int) -> None:
        nonlocal inside, most
        async with admission.place():
            inside += 1
            most = max(most, inside)
            await steps(1 + 5 * (number % 3))
            inside -= 1
        ended.append(number)

    await asyncio.gather(*map(work, range(30)))
    assert most == 2
    assert all(abs(place - number) <= 2 for place, number in enumerate(ended)), ended


async def test_who_waits_aside_has_no_place_and_goes_on_at_once() -> None:
    admission, slow, told = Admission(1), asyncio.Event(), list[str]()

    async def beside() -> None:  # two things at once, of one question
        with aside():
            await slow.wait()

    async def long() -> None:
        async with admission.place():
            await asyncio.gather(beside(), beside())
            told.append("long goes on")
            await steps(3)
            told.append("long ends")

    async def short(name: str) -> None:
        async with admission.place():
            if name == "b":
                slow.set()
            await steps(6)
            told.append(name)

    await asyncio.gather(long(), *map(short, "abc"))
    assert told == ["a", "long goes on", "long ends", "b", "c"]


async def test_who_gives_up_leaves_nothing_taken() -> None:
    admission, never = Admission(1), asyncio.Event()

    async def work(waits_aside: bool) -> None:
        async with admission.place():
            if waits_aside:
                with aside():
                    await never.wait()
            await never.wait()

    first, second, third = [asyncio.create_task(work(one)) for one in (True, False, False)]
    await steps(3)
    assert admission.waiting == 1
    for task in (third, first, second):  # in the queue, aside, at work
        task.cancel()
        await steps(2)
    await asyncio.gather(first, second, third, return_exceptions=True)
    assert all(task.cancelled() for task in (first, second, third))
    assert admission.waiting == 0
    async with asyncio.timeout(1), admission.place():
        pass
    leaving = [asyncio.create_task(work(False)) for _ in range(2)]
    await steps(2)
    leaving[0].cancel()  # the place passes to the second in the moment in which that gives up
    await asyncio.sleep(0)
    leaving[1].cancel()
    await asyncio.gather(*leaving, return_exceptions=True)
    async with asyncio.timeout(1), admission.place():
        pass


async def test_outside_any_question_nothing_is_given_away() -> None:
    with aside():
        await asyncio.sleep(0)
