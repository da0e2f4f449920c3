"""No answer cites what was replaced or deleted before the question was asked.

Two engines, as two processes would have them, share one database and one Redis. Documents are
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

from engine.documents.jobs import Upload
from engine.documents.model import DocumentFilter
from engine.documents.queries import DocumentQuery
from engine.engine import Engine, open_engine
from engine.settings import Settings
from tests.redis_server import RedisServer

Result = TypeVar("Result")

PLACES = ("harbour", "station", "library")
engines = st.sampled_from((0, 1))
places = st.sampled_from(PLACES)
prices = st.integers(10, 99)


class World:
    """The engines and the servers behind them, on a loop that runs while it is asked to."""

    def __init__(self, runner: asyncio.Runner, engines: list[Engine], redis: RedisServer) -> None:
        self.runner, self.engines, self.redis = runner, engines, redis

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)


@pytest.fixture
def world(make_settings: Callable[..., Settings], redis_server: RedisServer) -> Iterator[World]:
    own = make_settings(enable_redis_cache=True, redis_url=redis_server.url)
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def begin() -> list[Engine]:
            return [await stack.enter_async_context(open_engine(own)) for _ in range(2)]

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
        self.world.run(store(self.world.engines[by], place, price))
        self.prices[place] = price

    @precondition(lambda self: self.prices)
    @rule(by=engines, data=st.data())
    def delete(self, by: int, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from(sorted(self.prices)))
        self.world.run(remove(self.world.engines[by], place))
        del self.prices[place]

    @rule(of=engines, place=places)
    def ask(self, of: int, place: str) -> None:
        seen = self.world.run(ask(self.world.engines[of], place))
        assert seen <= self.texts()

    @rule(of=engines, place=places, price=prices)
    def ask_while_another_process_replaces(self, of: int, place: str, price: int) -> None:
        allowed = self.texts()

        async def both() -> set[str]:
            seen, _ = await asyncio.gather(
                ask(self.world.engines[of], place), store(self.world.engines[1 - of], place, price)
            )
            return seen

        seen = self.world.run(both())
        self.prices[place] = price
        assert seen <= allowed | self.texts()
        assert self.world.run(ask(self.world.engines[of], place)) <= self.texts()

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
            self.world.run(remove(self.world.engines[0], place))
        if not self.redis_runs:
            self.world.redis.start()


def text(place: str, price: int) -> str:
    return f"Entry to the {place} costs {price} euros."


async def store(engine: Engine, place: str, price: int) -> None:
    job = await engine.ingestion.submit([Upload(f"{place}.txt", text(place, price).encode())])
    await engine.ingestion.wait(job.id)


async def remove(engine: Engine, place: str) -> None:
    listed = await engine.documents.list(DocumentQuery(DocumentFilter(text=place)))
    await engine.documents.delete([document.id for document in listed.rows])


async def ask(engine: Engine, place: str) -> set[str]:
    """Texts of all sources of the answer; the cited ones are among them."""
    answer = await engine.ask(f"How much is entry to the {place}?")
    assert {citation.passage.text for citation in answer.citations} <= {
        source.passage.text for source in answer.sources
    }
    return {source.passage.text for source in answer.sources}


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
