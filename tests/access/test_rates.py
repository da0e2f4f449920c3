"""One account asks no more than the setting allows, whichever way it comes; others go on."""

from __future__ import annotations

import pytest

from engine.access.principal import SYSTEM, acting
from engine.api.problems import problem_of
from engine.errors import TooMany
from tests.conftest import OpenEngine

from .conftest import join

pytestmark = pytest.mark.anyio


async def test_an_account_asks_so_much_a_minute_and_others_go_on(open_test_engine: OpenEngine) -> None:
    settings = {"access_control": True, "rate_limit_enabled": True, "rate_limit_requests_per_minute": 3}
    async with open_test_engine(**settings) as engine:
        anna, ben = await join(engine, "anna"), await join(engine, "ben")
        with acting(anna):
            session = await engine.sessions.create()
            await engine.ask("What is refunded?", session_id=session.id)
            await engine.search("meals")
            await engine.search("trains")
            for asking in (engine.ask("And flights?", session_id=session.id), engine.search("flights")):
                with pytest.raises(TooMany) as told:
                    await asking
            assert len(await engine.sessions.turns(session.id)) == 1
        problem = problem_of(told.value)
        assert (problem.status, problem.retry_after) == (429, told.value.seconds)
        assert 1 <= told.value.seconds <= 60
        for another in (ben, SYSTEM):
            with acting(another):
                await engine.search("flights")
        with acting(await join(engine, "olga", "operator")):
            for words in ("flights", "trains", "hotels"):
                await engine.search(words)
            with pytest.raises(TooMany):
                await anext(engine.comparison.stream("flights", ["built-in"]))
