"""Every route against its own description: what schemathesis makes up is answered as is described."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from engine.access.principal import SYSTEM, acting
from engine.engine import Engine
from tests.access.conftest import join, key_of
from tests.conftest import OpenEngine

from .conftest import serving, stock

pytestmark = pytest.mark.anyio

SECONDS = 25
SECONDS_WITH_A_KEY = 10
CONFIGURATION = Path(__file__).parent / "schemathesis.toml"


async def test_schemathesis_finds_nothing(open_test_engine: OpenEngine, tmp_path: Path) -> None:
    async with open_test_engine() as engine:
        await stock(engine)
        await attempt(engine, tmp_path, SECONDS)


async def test_nor_where_a_key_is_asked_for(open_test_engine: OpenEngine, tmp_path: Path) -> None:
    async with open_test_engine(access_control=True) as engine:
        await join(engine, "ada", "admin")
        key = await key_of(engine, "ada", "read", "edit", "operate")
        with acting(SYSTEM):
            await stock(engine)
        await attempt(engine, tmp_path, SECONDS_WITH_A_KEY, "--header", f"Authorization: Bearer {key}")


async def attempt(engine: Engine, folder: Path, seconds: int, *options: str) -> None:
    """Serve it, and have schemathesis try it for so long."""
    async with serving(engine) as client:
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION), "run"),
            *(f"{client.base_url}/api/openapi.json", "--max-time", str(seconds), "--seed", "1", "--no-color"),
            *options,
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        told, _ = await running.communicate()
        assert running.returncode == 0, told.decode()
        assert "Fuzzing" in told.decode()  # it came to its phases, and was not stopped before
        assert (await client.get("/health")).status_code == 200
        async with asyncio.timeout(10):  # what runs by the clock may hold a connection for a moment
            while engine.database.pool_status().in_use:
                await asyncio.sleep(0.05)
