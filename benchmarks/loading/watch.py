"""Looking at the servers while they are under load: processor, memory, /metrics, /health."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import psutil
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.loading.serving import Served

HEALTH_EVERY = 0.1
METRICS_EVERY = 2.0

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@dataclass(slots=True)
class Seen:
    """health_ms, metrics_ms: of each request. resident: (second, bytes of all app processes).

    cpu: seconds by who used them. before, after: sums of all processes' series.
    """

    health_ms: list[float] = field(default_factory=list)
    metrics_ms: list[float] = field(default_factory=list)
    resident: list[tuple[float, int]] = field(default_factory=list)
    cpu: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    before: Series = field(default_factory=dict)
    after: Series = field(default_factory=dict)
    lost: int = 0

    def gained(self, name: str, **labels: str) -> float:
        """By how much a series grew, summed over the labels that are not given."""
        return total(self.after, name, **labels) - total(self.before, name, **labels)


@asynccontextmanager
async def watching(served: Served) -> AsyncIterator[Seen]:
    """Sees what goes on inside."""
    seen = Seen()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30)) as web:
        began = time.perf_counter()
        seen.before = await scrape(web, served)
        spent = _spent(served)
        tasks = [
            asyncio.create_task(_probe(web, served, seen)),
            asyncio.create_task(_scrape_on(web, served, seen, began)),
        ]
        try:
            yield seen
        finally:
            for task in tasks:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            seen.seconds = time.perf_counter() - began
            seen.cpu |= {name: value - spent[name] for name, value in _spent(served).items()}
            seen.after = await scrape(web, served)
            seen.resident.append((seen.seconds, resident(served)))


async def scrape(web: aiohttp.ClientSession, served: Served) -> Series:
    """All app processes' series, added up."""
    series: Series = {}
    for address in served.processes:
        async with web.get(f"{address}/metrics") as response:
            text = await response.text()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                key = (sample.name, tuple(sorted(sample.labels.items())))
                series[key] = series.get(key, 0.0) + sample.value
    return series


def total(series: Series, name: str, **labels: str) -> float:
    """Of a series, over the labels that are not given."""
    wanted = set(labels.items())
    return sum(value for (own, given), value in series.items() if own == name and wanted <= set(given))


def resident(served: Served) -> int:
    """Bytes of the app processes."""
    return sum(psutil.Process(pid).memory_info().rss for pid in served.pids)


def held(served: Served) -> dict[str, int]:
    """What app processes hold open."""
    processes = [psutil.Process(pid) for pid in served.pids]
    return {
        "files and sockets": sum(process.num_fds() for process in processes),
        "threads": sum(process.num_threads() for process in processes),
    }


async def _probe(web: aiohttp.ClientSession, served: Served, seen: Seen) -> None:
    while True:
        began = time.perf_counter()
        try:
            async with web.get(f"{served.processes[0]}/health") as response:
                await response.read()
            seen.health_ms.append((time.perf_counter() - began) * 1000)
        except (aiohttp.ClientError, TimeoutError):
            seen.lost += 1
        await asyncio.sleep(HEALTH_EVERY)


async def _scrape_on(web: aiohttp.ClientSession, served: Served, seen: Seen, start: float) -> None:
    while True:
        began = time.perf_counter()
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with web.get(f"{served.processes[0]}/metrics") as response:
                await response.read()
            seen.metrics_ms.append((time.perf_counter() - began) * 1000)
        seen.resident.append((time.perf_counter() - start, resident(served)))
        await asyncio.sleep(METRICS_EVERY)


def _spent(served: Served) -> dict[str, float]:
    """Seconds of processor time so far: of the app, and of PostgreSQL."""
    return {
        "app": sum(map(_cpu, map(psutil.Process, served.pids))),
        "postgres": sum(map(_cpu, _family(served.postgres))),
    }


def _family(pid: int) -> Iterable[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)
