"""Every route against its own description: what schemathesis makes up is answered as is described."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.conftest import OpenEngine

from .conftest import serving, stock

pytestmark = pytest.mark.anyio

SECONDS = 25
CONFIGURATION = Path(__file__).parent / "schemathesis.toml"


async def test_schemathesis_finds_nothing(open_test_engine: OpenEngine, tmp_path: Path) -> None:
    async with open_test_engine() as engine, serving(engine) as client:
        await stock(engine)
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION), "run"),
            *(f"{client.base_url}/api/openapi.json", "--max-time", str(SECONDS), "--seed", "1", "--no-color"),
            cwd=tmp_path,
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
