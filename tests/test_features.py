"""Features tell what is running, not what was configured."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.features import Feature

from .conftest import OpenEngine
from .redis_server import binaries, running

pytestmark = pytest.mark.anyio


async def named(engine: Engine) -> dict[str, Feature]:
    return {feature.name: feature for feature in await engine.features()}


async def test_what_was_not_asked_for_is_off_without_a_reason(engine: Engine) -> None:
    features = await named(engine)
    for name in ("L2 cache", "Redis sessions", "pgBouncer"):
        assert (features[name].asked, features[name].effective, features[name].why) == ("off", "off", "")
    assert features["database"].effective.startswith("PostgreSQL")


async def test_redis_is_told_as_it_is_and_since_when(open_test_engine: OpenEngine, tmp_path: Path) -> None:
    with running(tmp_path / "redis", binaries()["valkey"]) as server:
        async with open_test_engine(enable_redis_cache=True, redis_url=server.url) as engine:
            before = (await named(engine))["L2 cache"]
            assert before.effective.startswith("Valkey 9")
            assert (await named(engine))["L2 cache"] == before

            server.stop()
            gone = (await named(engine))["L2 cache"]
            assert (gone.asked, gone.effective) == ("on", "off")
            assert "cannot be reached" in gone.why
            assert "L1 and L3 serve" in gone.why
            assert gone.since > before.since

            server.start()
            async with asyncio.timeout(10):
                while (await named(engine))["L2 cache"].effective == "off":
                    await asyncio.sleep(0.05)


async def test_an_engine_starts_without_the_redis_it_was_told_of(open_test_engine: OpenEngine) -> None:
    url = "redis://127.0.0.1:1/0"
    async with open_test_engine(enable_redis_cache=True, enable_redis_sessions=True, redis_url=url) as engine:
        features = await named(engine)
        assert features["L2 cache"].effective == "off"
        assert "PostgreSQL serves" in features["Redis sessions"].why
        assert (await engine.ask("Is anything here?")).kind == "no_answer"
