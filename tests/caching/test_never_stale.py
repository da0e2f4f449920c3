"""No answer cites what was replaced or deleted before the question was asked.

Three engines share one database and one Redis: two of this process, whose questions and changes
come between each other's steps, and one of another operating system process. Documents are
ingested, replaced and deleted through either, Redis is flushed, stopped and started, and
questions are asked of either, also while the other one changes the document.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from engine.engine import open_engine
from engine.settings import Settings
from tests.caching.other_process import OtherProcess, OwnProcess, other_process
from tests.redis_server import RedisServer

Result = TypeVar("Result")

PLACES = ("harbour", "station", "library")
engines = st.sampled_from((0, 1, 2))
places = st.sampled_from(PLACES)
prices = st.integers(10, 99)


class World:
    """The engines and the servers behind them, on a loop that runs while it is asked to."""

    def __init__(
        self, runner: asyncio.Runner, engines: list[OwnProcess | OtherProcess], redis: RedisServer
    ) -> None:
        self.runner, self.engines, self.redis = runner, engines, redis

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)


@pytest.fixture
def world(make_settings: Callable[..., Settings], redis_server: RedisServer) -> Iterator[World]:
    own = make_settings(enable_redis_cache=True, redis_url=redis_server.url)
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def begin() -> list[OwnProcess | OtherProcess]:
            near = [OwnProcess(await stack.enter_async_context(open_engine(own))) for _ in range(2)]
            return [*near, await stack.enter_async_context(other_process(own))]

        yield World(runner, runner.run(begin()), redis_server)
        runner.run(stack.aclose())


class Staleness(RuleBasedStateMachine):
    """prices: what each document says now; those that are not there are deleted."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.prices: dict[str, int] = {}
        self.redis_runs = True

    @initialize(price=prices)
    def something_to_ask(self, price: int) -> None:
        self.put(0, PLACES[0], price)

    @rule(by=engines, place=places, price=prices)
    def put(self, by: int, place: str, price: int) -> None:
        self.world.run(self.world.engines[by].store(place, text(place, price)))
        self.prices[place] = price

    @precondition(lambda self: self.prices)
    @rule(by=engines, data=st.data())
    def delete(self, by: int, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from(sorted(self.prices)))
        self.world.run(self.world.engines[by].remove(place))
        del self.prices[place]

    @rule(of=engines, place=places)
    def ask(self, of: int, place: str) -> None:
        seen = self.world.run(self.world.engines[of].ask(question(place)))
        assert seen <= self.texts()

    @rule(of=engines, step=st.sampled_from((1, 2)), place=places, price=prices)
    def ask_while_another_replaces(self, of: int, step: int, place: str, price: int) -> None:
        asked, other = self.world.engines[of], self.world.engines[(of + step) % 3]
        allowed = self.texts()

        async def both() -> set[str]:
            seen, _ = await asyncio.gather(asked.ask(question(place)), other.store(place, text(place, price)))
            return seen

        seen = self.world.run(both())
        self.prices[place] = price
        assert seen <= allowed | self.texts()
        assert self.world.run(asked.ask(question(place))) <= self.texts()

    @precondition(lambda self: self.redis_runs)
    @rule()
    def flush_redis(self) -> None:
        with self.world.redis.client() as client:
            client.flushall()

    @precondition(lambda self: self.redis_runs)
    @rule()
    def stop_redis(self) -> None:
        self.world.redis.stop()
        self.redis_runs = False

    @precondition(lambda self: not self.redis_runs)
    @rule()
    def start_redis(self) -> None:
        self.world.redis.start()
        self.redis_runs = True

    def texts(self) -> set[str]:
        return {text(place, price) for place, price in self.prices.items()}

    def teardown(self) -> None:
        for place in self.prices:
            self.world.run(self.world.engines[0].remove(place))
        if not self.redis_runs:
            self.world.redis.start()


def text(place: str, price: int) -> str:
    return f"Entry to the {place} costs {price} euros."


def question(place: str) -> str:
    return f"How much is entry to the {place}?"


def test_no_answer_is_ever_stale(world: World) -> None:
    run_state_machine_as_test(
        lambda: Staleness(world),
        settings=settings(
            max_examples=12,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_processes_that_are_asked_the_same_at_once_run_the_models_once(world: World) -> None:
    world.run(world.engines[0].store("harbour", text("harbour", 10)))

    async def both() -> list[str]:
        asked = (world.engines[0], world.engines[2])
        seen = await asyncio.gather(*(one.ask(question("harbour")) for one in asked))
        assert seen[0] == seen[1] == {text("harbour", 10)}
        return [name for one in asked for name in await one.models_run()]

    assert sorted(world.run(both())) == ["model", "reranker"]
