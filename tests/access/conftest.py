"""An engine with access control, and people who use it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from engine.access.principal import SYSTEM, Principal, Role, acting
from engine.engine import Engine
from tests.conftest import OpenEngine

PASSWORD = "correct horse battery"
Join = Callable[..., Awaitable[Principal]]


@pytest.fixture(scope="package")
async def guarded(open_test_engine: OpenEngine) -> AsyncIterator[Engine]:
    """Access control is on; tests add accounts of their own."""
    async with open_test_engine(access_control=True) as engine:
        yield engine


async def join(engine: Engine, name: str, role: Role = "reader") -> Principal:
    """A new account, signed in."""
    with acting(SYSTEM):
        await engine.entrance.accounts.add(name, role, PASSWORD)
    return await engine.entrance.sign_ins.of_browser(await engine.entrance.sign_ins.sign_in(name, PASSWORD))


async def key_of(engine: Engine, name: str, *scopes: str, days: float | None = 1) -> str:
    """A REST key for an account that is there."""
    with acting(SYSTEM):
        return await engine.entrance.keys.create(name, "tests", scopes or ("read",), days)
