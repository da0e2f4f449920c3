"""How late the event loop is: what every request waits before anything is done for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

EVERY_SECONDS = 0.1


async def measure_lag(observe: Callable[[float], None]) -> None:
    """Tell `observe` the seconds by which each timer was late; runs until it is cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + EVERY_SECONDS
        await asyncio.sleep(EVERY_SECONDS)
        observe(max(0.0, loop.time() - due))
