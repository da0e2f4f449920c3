"""Metrics kept in PostgreSQL, so that they are there after a restart and for every process.

Each process looks once a second at what changes fast, and writes every ten seconds what it has
measured: in stretches of ten seconds, which are kept for hours, of a minute, for a day, and of ten
minutes, for a month. Where the database does not answer, what could not be written waits, bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from prometheus_client.registry import Collector
from sqlalchemy import Text, cast, delete, or_, select
from sqlalchemy.dialects.postgresql import insert

from engine.errors import DatabaseUnavailable
from engine.observability.metrics import Metrics
from engine.observability.process import process_name
from engine.observability.series import BUCKET, Bucket, Recorded, flatten
from engine.storage.database import Database
from engine.storage.tables import metrics_history as table

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
FINEST = 10  # seconds of a stretch
# Seconds of a stretch, and for how long it is kept.
KEPT = {FINEST: timedelta(hours=6), 60: timedelta(hours=36), 600: timedelta(days=31)}
WAITING = 1000  # stretches that wait for a database
RECENT = 360  # finest ones that stay in memory
PRUNE_SECONDS = 600.0
REFRESH_SECONDS = 2.5

_Rows = Sequence[tuple[datetime, str, str]]


@dataclass(frozen=True, slots=True)
class Window:
    """How far to look back, in steps of so many seconds, from which stretches."""

    back: timedelta
    step: int
    stretch: int


WINDOWS = {
    "15 min": Window(timedelta(minutes=15), 10, 10),
    "1 h": Window(timedelta(hours=1), 30, 10),
    "6 h": Window(timedelta(hours=6), 180, 60),
    "24 h": Window(timedelta(hours=24), 600, 60),
    "7 days": Window(timedelta(days=7), 3600, 600),
    "30 days": Window(timedelta(days=30), 14_400, 600),
}


class History:
    """What one process has measured goes in; what all have measured comes out.

    fast: collectors that are looked at every second. process: how this one is called.
    """

    def __init__(self, database: Database, metrics: Metrics, fast: Sequence[Collector]) -> None:
        self.process = process_name()
        self._run = uuid4()
        self._database = database
        self._metrics = metrics
        self._fast = fast
        self._totals, _ = flatten(metrics.registry.collect())
        self._current = Bucket()
        self._began = _begin(time.time(), FINEST)
        self._open: dict[int, tuple[float, Bucket]] = {}
        self._waiting: deque[tuple[int, float, Bucket]] = deque(maxlen=WAITING)
        self._recent: deque[tuple[float, Bucket]] = deque(maxlen=RECENT)
        self._ready = asyncio.Event()
        self._pruned = -PRUNE_SECONDS
        self._wrote = False

    async def run(self) -> None:
        """Measure and write until cancelled; then write what is left."""
        writing = asyncio.create_task(self._write_on(), name="writing of metrics history")
        try:
            while True:
                await asyncio.sleep(LOOK_SECONDS - time.time() % LOOK_SECONDS)
                await self.look(time.time())
        finally:
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writing
            if self._wrote:  # what ran for seconds only leaves no trace
                self._close(time.time())
                with contextlib.suppress(DatabaseUnavailable):
                    await self.write()

    async def look(self, now: float) -> None:
        """One look, at `now` (seconds of the epoch); ends the stretch where its time is over."""
        if _begin(now, FINEST) != self._began:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REFRESH_SECONDS):
                    await self._metrics.refresh()
            self._close(now)
            self._ready.set()
        else:
            self._current.see(flatten(metric for one in self._fast for metric in one.collect())[1])

    async def write(self) -> None:
        """Write what is measured and not yet written. Raises DatabaseUnavailable; nothing is lost."""
        ended = list(self._waiting)
        begun = [(seconds, began, bucket) for seconds, (began, bucket) in self._open.items()]
        rows = [self._row(*stretch) for stretch in (*ended, *begun)]
        if rows:
            adding = insert(table).values(rows)
            adding = adding.on_conflict_do_update(
                index_elements=["seconds", "at", "run"], set_={"measured": adding.excluded.measured}
            )
            async with self._database.write() as db:
                await db.execute(adding)
            self._wrote = True
            for stretch in ended:
                with contextlib.suppress(ValueError):  # it has made room meanwhile
                    self._waiting.remove(stretch)
        if time.monotonic() - self._pruned > PRUNE_SECONDS:
            await self.prune()
            self._pruned = time.monotonic()

    async def prune(self) -> None:
        """Remove what is kept no longer. Raises DatabaseUnavailable."""
        now = datetime.now(UTC)
        old = or_(
            *((table.c.seconds == seconds) & (table.c.at < now - kept) for seconds, kept in KEPT.items())
        )
        async with self._database.write() as db:
            await db.execute(delete(table).where(old))

    async def read(self, window: Window, now: datetime | None = None) -> Recorded:
        """What every process measured; where the database does not answer, what this one remembers."""
        now = now or datetime.now(UTC)
        start = datetime.fromtimestamp(_begin((now - window.back).timestamp(), window.step), UTC)
        chosen = (
            select(table.c.at, table.c.process, cast(table.c.measured, Text))
            .where(table.c.seconds == window.stretch, table.c.at >= start, table.c.at < now)
            .order_by(table.c.at)
        )
        try:
            async with self._database.read() as db:
                rows = [(at, process, text) for at, process, text in await db.execute(chosen)]
        except DatabaseUnavailable as error:
            notice = f"{error.message} This is what this process has measured in the last hour."
            own = [
                (datetime.fromtimestamp(at, UTC), self.process, bucket)
                for at, bucket in self._recent
                if at >= start.timestamp()
            ]
            return _arranged(own, start, now, Window(window.back, window.step, FINEST), notice)
        return await asyncio.to_thread(_decoded, rows, start, now, window)

    def _close(self, now: float) -> None:
        """End the finest stretch, and begin the next."""
        counters, gauges = flatten(self._metrics.registry.collect())
        for series, total in counters.items():
            if (grown := total - self._totals.get(series, 0.0)) > 0:
                self._current.counts[series] = grown
        self._totals = counters
        self._current.see(gauges)
        ended, began = self._current, self._began
        self._current, self._began = Bucket(), _begin(now, FINEST)
        self._waiting.append((FINEST, began, ended))
        self._recent.append((began, ended))
        for seconds in KEPT:
            if seconds == FINEST:
                continue
            start, bucket = self._open.get(seconds, (_begin(began, seconds), Bucket()))
            if start != _begin(began, seconds):
                self._waiting.append((seconds, start, bucket))
                start, bucket = _begin(began, seconds), Bucket()
            bucket.add(ended)
            self._open[seconds] = start, bucket

    async def _write_on(self) -> None:
        well = True
        while True:
            await self._ready.wait()
            self._ready.clear()
            try:
                await self.write()
            except DatabaseUnavailable as error:
                if well:
                    log.warning("Metrics wait for the database: %s", error.message)
                well = False
            else:
                well = True

    def _row(self, seconds: int, began: float, bucket: Bucket) -> dict[str, Any]:
        return {
            "seconds": seconds,
            "at": datetime.fromtimestamp(began, UTC),
            "run": self._run,
            "process": self.process,
            "measured": BUCKET.dump_python(bucket, mode="json"),
        }


def _begin(at: float, seconds: float) -> float:
    return at // seconds * seconds


def _decoded(rows: _Rows, start: datetime, now: datetime, window: Window) -> Recorded:
    """In a thread: a month's rows take some time."""
    return _arranged(
        ((at, process, BUCKET.validate_json(text)) for at, process, text in rows), start, now, window
    )


def _arranged(
    stretches: Iterable[tuple[datetime, str, Bucket]],
    start: datetime,
    now: datetime,
    window: Window,
    notice: str = "",
) -> Recorded:
    """Stretches put into steps; the last step ends where the newest stretch does."""
    places: dict[str, dict[int, Bucket]] = {}
    newest = start
    for at, process, bucket in stretches:
        place = int((at - start).total_seconds() // window.step)
        own = places.setdefault(process, {})
        own.setdefault(place, Bucket()).add(bucket)
        newest = max(newest, at)
    ends = min((newest - start).total_seconds() + window.stretch, (now - start).total_seconds())
    count = max(1, int(-(-ends // window.step)))
    begins = [start + timedelta(seconds=window.step * place) for place in range(count)]
    seconds = [float(window.step)] * count
    seconds[-1] = max(1.0, ends - window.step * (count - 1))
    return Recorded(
        tuple(begins),
        tuple(seconds),
        {process: tuple(own.get(place) for place in range(count)) for process, own in sorted(places.items())},
        notice,
    )
