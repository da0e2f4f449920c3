"""Whose turn it is: at most so many at once, the first to ask first, and not for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """The pool of this process as it is now; totals since the process started.

    idle: open connections that nobody uses. waiting: tasks in the queue.
    acquired_total, wait_seconds_total: how often a connection was given, and the waits for them.
    timeouts_total: given up in the queue. replaced_total: connections found broken and opened anew.
    """

    through_pgbouncer: bool
    size: int
    in_use: int
    idle: int
    waiting: int
    acquired_total: int
    wait_seconds_total: float
    timeouts_total: int
    replaced_total: int


class QueueTimeout(Exception):
    """No place became free in time."""


class Queue:
    """A fair queue before the pool.

    SQLAlchemy's own gives a connection to whoever runs when it comes back, which is often the
    task that has just returned it: with 200 tasks the longest wait was four times as long.
    """

    def __init__(self, places: int, timeout_seconds: float) -> None:
        self.waiting = 0
        self.acquired_total = 0
        self.wait_seconds_total = 0.0
        self.timeouts_total = 0
        self._free = asyncio.Semaphore(places)
        self._timeout = timeout_seconds

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place and keep it. Raises QueueTimeout."""
        if self._free.locked():
            await self._wait()
        else:
            await self._free.acquire()  # at once
        self.acquired_total += 1
        try:
            yield
        finally:
            self._free.release()

    async def _wait(self) -> None:
        asked = time.perf_counter()
        self.waiting += 1
        try:
            async with asyncio.timeout(self._timeout):
                await self._free.acquire()
        except TimeoutError:
            self.timeouts_total += 1
            raise QueueTimeout from None
        finally:
            self.waiting -= 1
            self.wait_seconds_total += time.perf_counter() - asked
