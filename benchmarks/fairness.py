"""What one user's hundred questions at once cost another who asks one after the other.

    python -m benchmarks.fairness [FOLDER]

Every question is new, so that no cache helps. Ratios are within one run.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.tables import percentiles, print_table
from engine.access.principal import SYSTEM, Principal, acting
from engine.documents.jobs import Upload
from engine.engine import Engine, open_engine
from engine.errors import Unavailable
from engine.settings import load_settings

HEAVY_QUESTIONS, LIGHT_QUESTIONS = 100, 30
SECTIONS = 400


async def main(folder: Path) -> None:
    settings = {
        "dossier_home": folder,
        "access_control": True,
        "l1_cache_maxsize": 0,
        "enable_postgres_cache": False,
    }
    rows = []
    for told, at_once in (("askers in turn", 0), ("first come, first served", 10_000)):
        async with open_engine(load_settings(**settings, questions_at_once=at_once)) as engine:
            await stock(engine)
            heavy, light = Principal("heavy", "heavy", "reader"), Principal("light", "light", "reader")
            await asked(engine, light, 5, told)  # warm
            alone = await asked(engine, light, LIGHT_QUESTIONS, f"{told} alone")
            crowd = asyncio.create_task(at_once_asked(engine, heavy, HEAVY_QUESTIONS, told))
            await asyncio.sleep(0.05)
            beside = await asked(engine, light, LIGHT_QUESTIONS, f"{told} beside")
            over = "yes" if crowd.done() else "no"
            lost = await crowd
        p95 = [percentiles([seconds * 1000 for seconds in times])["p95"] for times in (alone, beside)]
        longest = max(beside) * 1000
        rows.append(
            [
                told,
                f"{p95[0]:.0f}",
                f"{p95[1]:.0f}",
                f"{p95[1] / p95[0]:.1f}",
                f"{longest:.0f}",
                over,
                str(lost),
            ]
        )
    print_table(
        [
            "",
            "p95 alone, ms",
            f"p95 beside {HEAVY_QUESTIONS}, ms",
            "ratio",
            "longest, ms",
            "crowd over by then",
            "crowd lost",
        ],
        rows,
    )


async def stock(engine: Engine) -> None:
    """A document of many passages, once."""
    text = "\n\n".join(
        f"## Clause {n}\n\nThe fee of contract {n} is {n * 7} euros, due {n % 60} days after notice."
        for n in range(SECTIONS)
    )
    with acting(SYSTEM):
        job = await engine.ingestion.submit([Upload("contracts.md", text.encode())])
        await engine.ingestion.wait(job.id)


async def asked(engine: Engine, who: Principal, count: int, told: str) -> list[float]:
    """One question after the other; seconds each."""
    times = []
    with acting(who):
        for n in range(count):
            began = time.perf_counter()
            with contextlib.suppress(Unavailable):
                await engine.ask(f"{told}: what is the fee of contract {n}?")
            times.append(time.perf_counter() - began)
    return times


async def at_once_asked(engine: Engine, who: Principal, count: int, told: str) -> int:
    """All at once; how many could not be answered."""
    with acting(who):
        asking = [engine.ask(f"{told}: when is contract {n + 100} due?") for n in range(count)]
        return sum(isinstance(a, Unavailable) for a in await asyncio.gather(*asking, return_exceptions=True))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else made)))
