"""SIGKILL at random moments under load, and what is left afterwards.

    python -m tests.recovery.crash [--rounds 200] [--kinds app postgres …] [--seed N] [--json]

One app process, its embedded PostgreSQL, pgBouncer and Redis; programs upload, ask in sessions,
vote and edit over REST, an operator chooses settings, and all send again what failed. In each round
one kind of process is killed. Recovery is the time from the kill until a session begun after it
holds an answered question. Every tenth round the programs pause, and the database is compared with
what they were told. What was lost, is half visible or there twice, or took longer than ten seconds
to come back, is told; then the exit status is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.operations.choices import Choices
from engine.reranking import RERANKERS
from engine.storage.database import Database
from tests.conftest import ROOT

from .checks import faults, unindexed
from .clients import Clients, Ledger
from .servers import KINDS, Servers

START_SECONDS = 120.0
BACK_SECONDS = 10.0  # what is promised
WAITED_SECONDS = 60.0
CHECKED_EVERY = 10


@dataclass
class Report:
    """recovery: seconds of each kill, by kind. faults: what was lost, half visible or there twice.

    late: what took longer to come back than is promised, on a machine that has nothing else to do.
    """

    recovery: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    acknowledged: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def longest(self) -> float:
        """Seconds."""
        return max((seconds for all_ in self.recovery.values() for seconds in all_), default=0.0)

    def as_json(self) -> dict[str, Any]:
        """Figures for a table."""
        kinds = {
            kind: {
                "kills": len(s),
                "median_s": round(sorted(s)[len(s) // 2], 2),
                "longest_s": round(max(s), 2),
            }
            for kind, s in sorted(self.recovery.items())
        }
        return {
            "kills": kinds,
            "acknowledged": self.acknowledged,
            "faults": self.faults,
            "late": self.late,
            "longest_s": round(self.longest, 2),
            "errors_told": sorted(set(self.failures))[:20],
        }


async def crash(
    models: Path, rounds: int, kinds: Sequence[str] = KINDS, *, say: bool = False, every: int = CHECKED_EVERY
) -> Report:
    """Run it. Each kind comes as often as the others, in random order."""
    folder = Path(tempfile.mkdtemp(prefix="crash-"))
    folder.chmod(0o755)
    servers, report = Servers(folder, models), Report()
    plan = [kinds[n % len(kinds)] for n in range(rounds)]
    random.shuffle(plan)
    await servers.start()
    try:
        await _rounds(servers, plan, report, say=say, every=every)
    except TimeoutError:
        report.faults.append(f"It hangs.\n{servers.log()}")
    finally:
        await servers.stop()
        if not report.faults:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"What is left lies in {folder}.", file=sys.stderr)
    return report


async def _rounds(servers: Servers, plan: list[str], report: Report, *, say: bool, every: int) -> None:
    ledger = Ledger()
    report.acknowledged = ledger.done
    async with (
        _connected(servers) as database,
        Clients(servers.address, ledger, Choices(database, RERANKERS, "built-in", 0.1)) as clients,
    ):
        report.failures = clients.failures
        async with asyncio.timeout(START_SECONDS):
            await clients.served()
        for number, kind in enumerate(plan, start=1):
            clients.start()
            hit = await _kill_once(servers, kind)
            async with asyncio.timeout(WAITED_SECONDS):
                seconds = await clients.served()
            report.recovery[kind].append(seconds)
            if seconds >= BACK_SECONDS:
                report.late.append(f"{hit}: {seconds:.1f} s")
            if say:
                print(f"{number:3} {hit:32} {seconds:5.2f} s  {ledger.done}", file=sys.stderr, flush=True)
            if number % every == 0 or number == len(plan):
                async with asyncio.timeout(WAITED_SECONDS):
                    await clients.pause()
                if found := await faults(database, ledger) + await clients.read_back():
                    report.faults += found
                    return
        if await unindexed(database):
            servers.kill("app")  # a start indexes what is left over
            async with asyncio.timeout(WAITED_SECONDS):
                while await unindexed(database):
                    await asyncio.sleep(0.1)


@asynccontextmanager
async def _connected(servers: Servers) -> AsyncIterator[Database]:
    """A second process's way to the database: through pgBouncer, as the app."""
    url = servers.pgbouncer.url.replace("postgresql://", "postgresql+asyncpg://")
    database = Database(
        url,
        schema="public",
        pool_size=2,
        pool_timeout_seconds=10,
        statement_timeout_seconds=20,
        pooled_url=url,
    )
    try:
        yield database
    finally:
        await database.aclose()


async def _kill_once(servers: Servers, kind: str) -> str:
    """At a random moment, or the first at which there is such a process (a parser lives shortly)."""
    await asyncio.sleep(random.uniform(0.1, 1.5))
    async with asyncio.timeout(WAITED_SECONDS):
        while not (hit := servers.kill(kind)):
            await asyncio.sleep(0.005)
    return hit


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    random.seed(options.seed)
    home = Path(os.environ.get("DOSSIER_TEST_HOME", ROOT / ".dossier"))
    report = asyncio.run(crash(home / "models", options.rounds, options.kinds, say=not options.json))
    print(json.dumps(report.as_json(), ensure_ascii=False, indent=None if options.json else 1))
    return int(bool(report.faults or report.late))


if __name__ == "__main__":
    sys.exit(main())
