"""What a month of metrics history takes: room in PostgreSQL, and the time until the page has its charts.

    python -m benchmarks.history [--processes 2] [--json]

An engine with the sample corpus is asked some questions; what it measured in that stretch is then
written as often as a month keeps it, in each grain and for each process, and read and drawn for
every range of the operations page. Best of three.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy import text

from app.operations.charts import chosen
from benchmarks.sessions import QUESTIONS, stock
from benchmarks.tables import print_table
from engine.engine import Engine, open_engine
from engine.observability.history import FINEST, KEPT, WINDOWS
from engine.observability.series import BUCKET, Bucket
from engine.settings import load_settings

ASKED = 30
TIMES = 3

_MONTH = text(
    "INSERT INTO metrics_history (seconds, at, run, process, measured)"
    " SELECT :seconds, to_timestamp(began), CAST(:run AS uuid), :process, CAST(:measured AS jsonb)"
    " FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint), :seconds) AS began"
)


async def measured(engine: Engine) -> Bucket:
    """What a stretch with questions holds."""
    for number in range(ASKED):
        await engine.ask(f"{QUESTIONS[number % len(QUESTIONS)]} ({number // 2})")
    await engine.history.look(time.time() + FINEST)
    await engine.history.write()
    _, bucket = max(engine.history._recent, key=lambda stretch: len(stretch[1].counts))
    return bucket


async def fill(engine: Engine, bucket: Bucket, processes: int) -> int:
    """A month of it; returns the rows."""
    rows = 0
    async with engine.database.direct() as db:
        await db.execute(text("SET LOCAL statement_timeout = 0"))
        for number in range(processes):
            for seconds, kept in KEPT.items():
                last = int(time.time()) // seconds * seconds - seconds
                given = {
                    "seconds": seconds,
                    "run": f"00000000-0000-0000-0000-{number:012d}",
                    "process": f"process:{number}",
                    "measured": BUCKET.dump_json(bucket).decode(),
                    "first": last - int(kept.total_seconds()) + seconds,
                    "last": last,
                }
                rows += (await db.execute(_MONTH, given)).rowcount
    return rows


async def measure(processes: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="dossier-history-") as folder:
        Path(folder).chmod(0o755)
        await stock(Path(folder))
        async with open_engine(load_settings(dossier_home=folder)) as engine:
            rows = await fill(engine, await measured(engine), processes)
            async with engine.database.read() as db:
                size = "SELECT pg_total_relation_size('metrics_history')"
                held = int((await db.execute(text(size))).scalar_one())
            ranges = {}
            for name, window in WINDOWS.items():
                spent = []
                for _ in range(TIMES):
                    began = time.perf_counter()
                    recorded = await engine.history.read(window)
                    read = time.perf_counter()
                    steps, charts = len(recorded.times), chosen(recorded)
                    for draw in charts.values():
                        draw(recorded)
                    spent.append((time.perf_counter() - began, read - began, time.perf_counter() - read))
                _, reading, drawing = min(spent)
                ranges[name] = {"steps": steps, "read ms": 1000 * reading, "draw ms": 1000 * drawing}
    return {"processes": processes, "rows": rows, "MB a process": held / 1e6 / processes, "ranges": ranges}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = asyncio.run(measure(options.processes))
    if options.json:
        print(json.dumps(figures))
        return
    print_table(
        ["range", "steps", "read, ms", "charts made, ms"],
        [
            [name, str(own["steps"]), f"{own['read ms']:.0f}", f"{own['draw ms']:.0f}"]
            for name, own in figures["ranges"].items()
        ],
    )
    print(
        f"\n{figures['rows']:,} rows of {options.processes} processes, {figures['MB a process']:.1f} MB each"
    )


if __name__ == "__main__":
    main()
