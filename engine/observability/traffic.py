"""How many questions are under way, so that background work can make way for them."""

from __future__ import annotations

import asyncio

from engine.observability.trace import Trace


class Traffic:
    """A listener of Traces."""

    def __init__(self) -> None:
        self.under_way = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    def begun(self) -> None:
        """See Listener."""
        self.under_way += 1
        self._quiet.clear()

    def ended(self, trace: Trace) -> None:
        """See Listener."""
        self.under_way -= 1
        if self.under_way <= 0:
            self._quiet.set()

    async def lull(self, seconds: float) -> bool:
        """Wait until no question is under way, at most so long; whether that came."""
        try:
            async with asyncio.timeout(seconds):
                await self._quiet.wait()
        except TimeoutError:
            return False
        return True
