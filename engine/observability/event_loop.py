"""How late the event loop is, and how busy: what every request waits before anything is done for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

EVERY_SECONDS = 0.1


async def measure_loop(late: Callable[[float], None], busy: Callable[[float], None]) -> None:
    """Tell of each timer by how many seconds it was late, and the processor seconds that the loop's
    thread has spent since the last; runs until it is cancelled."""
    loop = asyncio.get_running_loop()
    spent = time.thread_time()
    while True:
        due = loop.time() + EVERY_SECONDS
        await asyncio.sleep(EVERY_SECONDS)
        late(max(0.0, loop.time() - due))
        before, spent = spent, time.thread_time()
        busy(spent - before)


def running_tasks() -> int:
    """How many there are on this thread's loop; 0 where none runs."""
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0
