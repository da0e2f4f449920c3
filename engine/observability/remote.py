"""Metrics that a server has to be asked for: asked aside, bounded, and shown as last heard."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

log = logging.getLogger(__name__)

FRESH_SECONDS = 3.0
ASK_SECONDS = 2.0
OLD_SECONDS = 60.0  # what was heard longer ago is no longer shown


class Remote(Collector):
    """One server. Where it cannot be asked its series are absent and its `up` is 0.

    ask: the families now; whatever it raises means that the server does not answer.
    up: name of the gauge that says whether it did.
    """

    def __init__(self, up: str, what: str, ask: Callable[[], Awaitable[Sequence[Metric]]]) -> None:
        self._up, self._what, self._ask = up, what, ask
        self._heard: Sequence[Metric] = ()
        self._heard_at = self._asked_at = -OLD_SECONDS
        self._answers = False
        self._asking: asyncio.Task[None] | None = None

    async def refresh(self) -> None:
        """Ask, unless that was done a moment ago; callers at once ask once. Raises nothing."""
        if self._asking is None or self._asking.done():
            if time.monotonic() - self._asked_at < FRESH_SECONDS:
                return
            self._asking = asyncio.create_task(self._refresh(), name=f"metrics of {self._what}")
        await asyncio.shield(self._asking)  # a scrape that does not wait lets it go on

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                self._heard = await self._ask()
            self._heard_at, self._answers = time.monotonic(), True
        except Exception as error:
            if self._answers or self._asked_at < 0:
                log.warning("%s cannot be asked for its metrics: %s", self._what, error)
            self._answers = False
        self._asked_at = time.monotonic()

    def describe(self) -> Iterable[Metric]:
        """Nothing before it was asked."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """What was heard last."""
        answers = self._answers and time.monotonic() - self._heard_at < OLD_SECONDS
        yield GaugeMetricFamily(
            self._up, f"Whether {self._what} answers when it is asked for its metrics.", value=float(answers)
        )
        if answers:
            yield from self._heard

    async def aclose(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._asking
