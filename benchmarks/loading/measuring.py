"""One measurement: a server, users, a look from outside, and what it comes to as figures."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import psycopg

from benchmarks.loading.corpus import Corpus, files_to_ingest, purge
from benchmarks.loading.serving import Served, serving
from benchmarks.loading.users import Asked, Load
from benchmarks.loading.watch import Seen, held, resident, scrape, total, watching
from benchmarks.tables import ROOT

Figures = dict[str, Any]
REST_SECONDS = 5.0  # after the last user has left, before what is left behind is counted
WARM_UP = 0.2  # share of the soak after which memory should no longer grow


@contextlib.contextmanager
def fresh(corpus: Corpus, **how: Any) -> Iterator[Served]:
    """A server with an empty cache. how: see `serving`."""
    with serving(corpus.home, **how) as served:
        empty_cache(corpus.home)
        yield served


async def loaded(
    served: Served,
    corpus: Corpus,
    users: int,
    seconds: float,
    arrive: float,
    name: str,
    protocol: str = "rest",
    *,
    distinct: bool = False,
) -> Figures:
    """Users on a server for so long."""
    print(f"{name} …", file=sys.stderr, flush=True)
    load = Load(served.address, users, seconds, arrive, corpus.questions, protocol, distinct)
    async with watching(served) as seen:
        asked = await crowd(load, seen)
    figures = summed_up(users, asked, seen)
    print(f"   {brief(figures)}", file=sys.stderr, flush=True)
    return figures


async def soak(corpus: Corpus, users: int, seconds: float, arrive: float) -> Figures:
    """Users for a long time; what is still held once everybody has left."""
    print(f"{users} users for {seconds / 60:.0f} minutes …", file=sys.stderr, flush=True)
    with fresh(corpus) as served:
        # Lazily made things are there before the first count: a few users who come and leave.
        await crowd(Load(served.address, users // 10, 5.0, 1.0, corpus.questions), Seen())
        await asyncio.sleep(REST_SECONDS)
        before = await left_behind(served)
        async with watching(served) as seen:
            asked = await crowd(Load(served.address, users, seconds, arrive, corpus.questions), seen)
        await asyncio.sleep(REST_SECONDS)
        after = await left_behind(served)
        figures = summed_up(users, asked, seen)
    warm = [size for at, size in seen.resident if at > WARM_UP * seconds]
    tenth = max(1, len(warm) // 10)
    first, last = np.mean(warm[:tenth]), np.mean(warm[-tenth:])
    figures["growth after warm-up"] = round(float(last / first - 1), 4)
    figures["left behind"] = {what: [before[what], after[what]] for what in before}
    figures["memory"] = [[round(at), round(size / 1e6, 1)] for at, size in seen.resident]
    print(f"   {brief(figures)}; {figures['left behind']}", file=sys.stderr, flush=True)
    return figures


async def ingest(corpus: Corpus, users: int, files: int, arrive: float) -> Figures:
    """Files uploaded one request each while users ask; they are removed in the end."""
    print(f"{files} files while {users} users ask …", file=sys.stderr, flush=True)
    with fresh(corpus) as served, tempfile.TemporaryDirectory() as folder:
        made = await asyncio.to_thread(files_to_ingest, Path(folder), files)
        async with aiohttp.ClientSession(served.address) as web:
            async with watching(served) as alone:
                first = asyncio.get_running_loop().time()
                done = await uploaded(web, made[: files // 2])
                seconds_alone = asyncio.get_running_loop().time() - first
            async with watching(served) as seen:
                # They ask for as long as it takes: ended by hand.
                asking = asyncio.create_task(
                    crowd(
                        Load(served.address, users, 4 * seconds_alone, 5.0, corpus.questions),
                        seen,
                        until := asyncio.Event(),
                    )
                )
                first = asyncio.get_running_loop().time()
                done += await uploaded(web, made[files // 2 :])
                seconds_together = asyncio.get_running_loop().time() - first
                until.set()
                asked = await asking
            for document_id in done:
                async with web.delete(f"/api/documents/{document_id}") as response:
                    await response.read()
        figures = summed_up(users, asked, seen)
    await purge(corpus.home)
    figures |= {
        "files": files,
        "files a minute, nobody asking": round(60 * (files // 2) / seconds_alone, 1),
        "files a minute, users asking": round(60 * (files - files // 2) / seconds_together, 1),
        "loop lag p99 ms, nobody asking": lag(alone),
        "health p99 ms, nobody asking": percentile(alone.health_ms, 99),
    }
    print(f"   {brief(figures)}", file=sys.stderr, flush=True)
    return figures


async def uploaded(web: aiohttp.ClientSession, files: Sequence[Path]) -> list[int]:
    """Upload all, and wait for the last; the documents' ids. Raises RuntimeError for one that failed."""
    jobs = []
    for path in files:
        form = aiohttp.FormData()
        form.add_field("files", path.read_bytes(), filename=path.name)
        async with web.post("/api/documents", data=form) as response:
            jobs.append((await response.json())["id"])
    ids = []
    for job in jobs:
        while True:
            async with web.get(f"/api/jobs/{job}") as response:
                told = await response.json()
            if told["finished"]:
                break
            await asyncio.sleep(0.5)
        for file in told["files"]:
            if file["document_id"] is None:
                raise RuntimeError(f"{file['file_name']}: {file['message']}")
            ids.append(file["document_id"])
    return ids


async def crowd(load: Load, seen: Seen, until: asyncio.Event | None = None) -> list[Asked]:
    """The users' process; its processor time goes into `seen`. until: lets them all leave at once."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.loading.users",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdin is not None
    talking = asyncio.create_task(process.communicate(json.dumps(asdict(load)).encode()))
    if until is not None:
        await until.wait()
        process.terminate()
    told, _ = await talking
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seen.cpu["users"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return [Asked(**one) for one in json.loads(told or "[]")]  # nothing, if they left before they came


async def left_behind(served: Served) -> Figures:
    """What the app holds when nobody asks."""
    async with aiohttp.ClientSession() as web:
        series = await scrape(web, served)
    return {
        **held(served),
        "tasks": round(total(series, "dossier_event_loop_tasks")),
        "questions in flight": round(total(series, "dossier_questions_in_flight")),
        "database connections in use": round(total(series, "dossier_pool_connections", state="in_use")),
        "resident MB": round(resident(served) / 1e6),
    }


def empty_cache(home: Path) -> None:
    """Forget what an earlier run left in the lasting layer; the process's own is empty at its start."""
    _, _, _, port, folder, *_ = (home / "postgres" / "postmaster.pid").read_text().splitlines()
    where = f"host={folder} port={port} user=postgres dbname=dossier"
    with psycopg.connect(where, autocommit=True) as connection:
        connection.execute("TRUNCATE cache_entries")


def summed_up(users: int, asked: Sequence[Asked], seen: Seen) -> Figures:
    """Everything that a table or a chart shows of one measurement."""
    ms = [one.ms for one in asked if not one.error]
    span = max((one.at + one.ms / 1000 for one in asked), default=1.0)
    layers = Counter(one.found_in for one in asked if one.found_in)
    used = {name: round(value / seen.seconds, 3) for name, value in seen.cpu.items()}
    return {
        "users": users,
        "questions": len(asked),
        "success": round(len(ms) / max(1, len(asked)), 5),
        "errors": dict(Counter(one.error for one in asked if one.error)),
        **{f"p{p}": percentile(ms, p) for p in (50, 95, 99)},
        "max": percentile(ms, 100),
        "questions a second": round(len(ms) / span, 1),
        "by kind": {
            kind: {
                f"p{p}": percentile([o.ms for o in asked if o.kind == kind and not o.error], p)
                for p in (50, 95)
            }
            for kind in sorted({one.kind for one in asked})
        },
        "cores": used,
        "app ms a question": round(1000 * seen.cpu["app"] / max(1, len(asked)), 2),
        "found in": {layer: round(layers[layer] / layers.total(), 4) for layer in ("L1", "L3") if layers},
        "resident MB": round(max(size for _, size in seen.resident) / 1e6),
        "resident MB at first": round(seen.resident[0][1] / 1e6),
        "loop lag p99 ms": lag(seen),
        "health p99 ms": percentile(seen.health_ms, 99),
        "health lost": seen.lost,
        "metrics p99 ms": percentile(seen.metrics_ms, 99),
        "pool wait p99 ms": quantile(seen, "dossier_pool_wait_seconds_bucket", 0.99),
    }


def lag(seen: Seen) -> float:
    """99th percentile of the event loop's lag, in milliseconds."""
    return quantile(seen, "dossier_event_loop_lag_seconds_bucket", 0.99)


def quantile(seen: Seen, name: str, share: float) -> float:
    """Of a histogram, in milliseconds, linear within the bucket as Prometheus does it."""
    bounds = sorted(
        {float(dict(labels)["le"]) for own, labels in seen.after if own == name}, key=lambda bound: bound
    )
    counts = [seen.gained(name, le=_spelled(seen, name, bound)) for bound in bounds]
    wanted = share * counts[-1] if counts else 0
    low, below = 0.0, 0.0
    for bound, count in zip(bounds, counts, strict=True):
        if count >= wanted and count > below:
            high = bound if bound != float("inf") else low
            return round(1000 * (low + (high - low) * (wanted - below) / (count - below)), 2)
        low, below = bound, count
    return 0.0


def _spelled(seen: Seen, name: str, bound: float) -> str:
    return next(
        dict(labels)["le"] for own, labels in seen.after if own == name and float(dict(labels)["le"]) == bound
    )


def percentile(values: Sequence[float], share: float) -> float:
    """In milliseconds; 0 of none."""
    return round(float(np.percentile(values, share)), 1) if values else 0.0


def brief(figures: Figures) -> str:
    """One line, while it runs."""
    cores = ", ".join(f"{name} {value:.2f}" for name, value in figures["cores"].items())
    return (
        f"{figures['success']:.2%} of {figures['questions']}, p50 {figures['p50']:.0f}"
        f" p95 {figures['p95']:.0f} p99 {figures['p99']:.0f} ms, {figures['questions a second']:.0f}/s,"
        f" cores: {cores},"
        f" {figures['app ms a question']} app ms each, {figures['resident MB']} MB,"
        f" lag p99 {figures['loop lag p99 ms']}, health p99 {figures['health p99 ms']},"
        f" metrics p99 {figures['metrics p99 ms']}, found in {figures['found in']} {figures['errors'] or ''}"
    )
