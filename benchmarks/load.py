"""How many users one machine takes: the whole application under load, watched from outside.

    python -m benchmarks.load [--parts levels,processes,browser,soak,ingest,variants] [--docs] [--quick]

Starts the server as production does (uvicorn, one process, the embedded database) on a home of
its own with real documents in two languages, lets users in a process of their own ask for some
time, and looks on: at what they got, /metrics, /health, processor and memory. All of it on the
cores of this machine, the users included. About half an hour for everything:

    levels    10 to 1,000 users over REST, one level after the other on one server
    processes 200 to 1,000 users, two processes behind nginx
    browser   sessions over Streamlit's websocket, as browsers hold them
    soak      ten minutes at 200 users, and what is left behind
    ingest    100 files uploaded while users ask
    variants  200 users without cache, with questions that nobody asked before, through pgBouncer,
              with two processes behind nginx

What a part found goes to docs/load.json, which keeps the other parts' figures. --docs then draws
the charts and writes the tables into docs/performance.md; alone with --parts none, without
measuring anything. --home keeps the ingested corpus from run to run (some minutes). --quick takes
a tenth of the time, to see that it works.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from benchmarks.loading.corpus import Corpus, stock
from benchmarks.loading.measuring import Figures, fresh, ingest, loaded, soak
from benchmarks.loading.report import tables, write_docs
from benchmarks.tables import ROOT

RESULT = ROOT / "docs" / "load.json"
LEVELS = (10, 50, 100, 200, 500, 1000)
MANY = (200, 500, 1000)
BROWSER = (50, 100, 200)
ASKING = 200  # users of the soak and the variants
WHILE_INGESTING = 50
FILES = 100
NEW = "every question a new one"


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of one measurement, of the soak; how long the users of a level take to arrive."""

    level: float = 40.0
    soak: float = 600.0
    arrive: float = 10.0
    arrive_browser: float = 20.0


QUICK = Times(level=8.0, soak=40.0, arrive=3.0, arrive_browser=4.0)


async def levels(corpus: Corpus, times: Times) -> Figures:
    with fresh(corpus) as served:
        return {
            str(users): await loaded(served, corpus, users, times.level, times.arrive, f"{users} users")
            for users in LEVELS
        }


async def processes(corpus: Corpus, times: Times) -> Figures:
    with fresh(corpus, processes=2) as served:
        return {
            str(users): await loaded(
                served, corpus, users, times.level, times.arrive, f"{users} users, two processes"
            )
            for users in MANY
        }


async def browser(corpus: Corpus, times: Times) -> Figures:
    seconds = times.level + times.arrive_browser
    with fresh(corpus) as served:
        return {
            str(users): await loaded(
                served, corpus, users, seconds, times.arrive_browser, f"{users} sessions", "browser"
            )
            for users in BROWSER
        }


async def soaked(corpus: Corpus, times: Times) -> Figures:
    return await soak(corpus, ASKING, times.soak, times.arrive)


async def ingested(corpus: Corpus, times: Times) -> Figures:
    return await ingest(corpus, WHILE_INGESTING, FILES if times != QUICK else FILES // 10, times.level)


async def variants(corpus: Corpus, times: Times) -> Figures:
    no_cache = {"l1_cache_maxsize": 0, "enable_postgres_cache": False}
    ways: dict[str, dict[str, Any]] = {
        "as it comes": {},
        "cache off": {"settings": no_cache},
        NEW: {},
        "through pgBouncer": {"pgbouncer": True},
        "two processes": {"processes": 2},
        "two processes, through pgBouncer": {"processes": 2, "pgbouncer": True},
    }
    figures = {}
    for name, how in ways.items():
        with fresh(corpus, **how) as served:
            figures[name] = await loaded(
                served, corpus, ASKING, times.level, times.arrive, name, distinct=name == NEW
            )
    return figures


PARTS: dict[str, Callable[[Corpus, Times], Awaitable[Figures]]] = {
    "levels": levels,
    "processes": processes,
    "browser": browser,
    "soak": soaked,
    "ingest": ingested,
    "variants": variants,
}


def machine() -> dict[str, Any]:
    """What it was measured on."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }


async def measure(parts: list[str], home: Path, times: Times, result: Path) -> Figures:
    """Measure the parts; each is kept as soon as it is known."""
    figures: Figures = json.loads(result.read_text()) if result.exists() else {}
    if not parts:
        return figures
    began = time.monotonic()
    corpus = await stock(home)
    figures["machine"] = machine()
    figures["corpus"] = {"documents": corpus.documents, "passages": corpus.passages}
    figures["corpus"] |= {f"questions_{name}": len(asked) for name, asked in corpus.questions.items()}
    for part in parts:
        figures[part] = await PARTS[part](corpus, times)
        figures.setdefault("measured", {})[part] = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        result.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    print(f"\n{(time.monotonic() - began) / 60:.0f} minutes\n")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS), help="of " + ", ".join(PARTS) + "; or none")
    parser.add_argument("--home", type=Path, help="keep the corpus there; otherwise a temporary folder")
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--docs", action="store_true", help="refresh docs/performance.md and its charts")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    parts = [] if options.parts == "none" else options.parts.split(",")
    if unknown := set(parts) - PARTS.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    home = options.home or Path(tempfile.mkdtemp(prefix="dossier-load-"))
    try:
        times = QUICK if options.quick else Times()
        figures = asyncio.run(measure(parts, home.absolute(), times, options.result))
    finally:
        if options.home is None:
            shutil.rmtree(home, ignore_errors=True)
    print(tables(figures))
    if options.docs:
        write_docs(figures)


if __name__ == "__main__":
    main()
