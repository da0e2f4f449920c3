"""What operators do is done, told how it went, and recorded for everyone."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import BadInput
from engine.storage.tables import cache_entries
from tests.conftest import OpenEngine
from tests.redis_server import binaries, running

QUESTION = "When does the gate close?"


async def test_each_layer_is_emptied_alone_and_that_is_recorded(
    open_test_engine: OpenEngine, tmp_path: Path
) -> None:
    with running(tmp_path / "redis", binaries()["valkey"]) as server:
        async with open_test_engine(enable_redis_cache=True, redis_url=server.url) as engine:
            for layer in ("L1", "L2", "L3"):
                await engine.search(QUESTION)
                await engine.caches.drain()
                before = {told.name: told.usage for told in await engine.cache_report()}
                assert all(usage and usage.entries for usage in before.values())
                (action,) = await engine.operations.clear_cache([layer], "operations page")
                after = {told.name: told.usage for told in await engine.cache_report()}
                assert {name for name, usage in after.items() if usage and not usage.entries} == {layer}
                assert action.done and action.at
                held = before[layer]
                assert held and f"{held.entries} entr" in action.outcome
                # What the other layers keep of the documents is found no more either once L1 is cleared.
                await engine.operations.clear_cache(["L1", "L2", "L3"])
            recorded = await engine.operations.recent()
            assert [(done.subject, done.via) for done in recorded if done.via == "operations page"] == [
                ("L3", "operations page"),
                ("L2", "operations page"),
                ("L1", "operations page"),
            ]


async def test_another_process_sees_what_was_done(open_test_engine: OpenEngine) -> None:
    async with open_test_engine() as one, open_test_engine(database_schema=one.database.schema) as other:
        await one.operations.clear_cache(["L3"], "command line")
        (seen,) = await other.operations.recent()
        assert (seen.action, seen.subject, seen.via, seen.done) == (
            "clear cache layer",
            "L3",
            "command line",
            True,
        )


async def test_what_could_not_be_done_is_told_and_recorded_so(
    open_test_engine: OpenEngine, tmp_path: Path
) -> None:
    with running(tmp_path / "redis", binaries()["valkey"]) as server:
        async with open_test_engine(enable_redis_cache=True, redis_url=server.url) as engine:
            await engine.search(QUESTION)
            server.stop()
            (action,) = await engine.operations.clear_cache(["L2"])
            assert not action.done and "could not be reached" in action.outcome
            assert await engine.operations.recent() == [action]


async def test_a_layer_that_is_not_in_use_is_told_and_an_unknown_one_refused(
    open_test_engine: OpenEngine,
) -> None:
    async with open_test_engine() as engine:
        (action,) = await engine.operations.clear_cache(["L2"])
        assert not action.done and action.outcome == "It is not in use."
        with pytest.raises(BadInput, match="L9"):
            await engine.operations.clear_cache(["L1", "L9"])
        assert len(await engine.operations.recent()) == 1


async def test_l3_is_empty_in_the_database_too(open_test_engine: OpenEngine) -> None:
    async with open_test_engine() as engine:
        await engine.search(QUESTION)
        await engine.caches.drain()
        await engine.operations.clear_cache(["L3"])
        async with engine.database.read() as db:
            assert (await db.execute(cache_entries.select())).first() is None
