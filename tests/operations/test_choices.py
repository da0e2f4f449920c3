"""What operators choose is in force in every process, recorded, and can be taken back."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from engine.engine import Engine
from engine.errors import BadInput
from engine.features import Feature
from tests.conftest import OpenEngine
from tests.evaluation.conftest import stock

pytestmark = pytest.mark.anyio

QUESTION = "When does the gate close?"


async def reranker_of(engine: Engine) -> Feature:
    return next(feature for feature in await engine.features() if feature.name == "reranker")


async def test_the_chosen_default_serves_everywhere_and_is_recorded(open_test_engine: OpenEngine) -> None:
    async with open_test_engine() as one, open_test_engine(database_schema=one.database.schema) as other:
        await stock(one)
        assert (await one.ask(QUESTION)).receipt.models["reranker"] == "built-in"
        action = await one.operations.choose("default reranker", "none", "rerankers page")
        assert action.at and (action.subject, action.via) == ("default reranker", "rerankers page")
        assert (await one.ask(QUESTION)).receipt.models["reranker"] == "none"
        async with asyncio.timeout(5):
            while (await other.ask(QUESTION)).receipt.models["reranker"] != "none":
                await asyncio.sleep(0.1)
        told = await reranker_of(other)
        assert (told.asked, told.effective) == ("built-in", "none") and "chosen" in told.why

        await other.operations.choose("default reranker", None)
        assert (await reranker_of(other)).why == ""
        assert (await other.ask(QUESTION)).receipt.models["reranker"] == "built-in"
        recorded = await one.operations.recent()
        assert [done.action for done in recorded] == ["choose", "choose"]
        assert "It was none" in recorded[0].outcome


async def test_what_cannot_be_chosen_is_refused_and_not_recorded(open_test_engine: OpenEngine) -> None:
    async with open_test_engine() as engine:
        with pytest.raises(BadInput, match="no-such"):
            await engine.operations.choose("default reranker", "no-such")
        for threshold in ("1.5", "-0.1", "nan", "much"):
            with pytest.raises(BadInput):
                await engine.operations.choose("answer threshold", threshold)
        assert await engine.operations.recent() == []
        assert await engine.operations.choices.chosen() == {}


async def test_a_choice_that_cannot_be_recorded_is_not_made(open_test_engine: OpenEngine) -> None:
    async with open_test_engine() as engine:
        async with engine.database.write() as db:
            await db.execute(
                text("ALTER TABLE audit_events ADD CONSTRAINT full_disk CHECK (false) NOT VALID")
            )
        with pytest.raises(Exception, match="full_disk"):
            await engine.operations.choose("default reranker", "none")
        assert await engine.operations.choices.chosen() == {}
        assert await engine.operations.choices.reranker() == "built-in"
