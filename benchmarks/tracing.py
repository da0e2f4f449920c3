"""What tracing costs: the same questions without spans, with them, and with them exported by OTLP.

    python -m benchmarks.tracing [--rounds 12] [--questions 40] [--json]

The three ways take turns, round by round and in changing order, on one engine with the sample
corpus: questions that are computed anew, and questions that the cache answers, for which a span
weighs most. A round's time ends when its spans have been sent. "Without" makes no span, no stage
and no metric of a question. The collector is a real receiver in a process of its own. Compared
are the medians over rounds, of the time and of the processor time of this process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

from benchmarks.sessions import QUESTIONS, stock
from benchmarks.tables import print_table
from engine.engine import Engine, open_engine
from engine.observability.otlp import OtlpTraces
from engine.observability.trace import Trace
from engine.observability.traces import Traces
from engine.settings import load_settings
from tests.observability.otlp_server import running

WAYS = ("without", "spans", "spans, exported")
KINDS = ("computed", "cached")


class Untraced(Traces):
    """Gives a trace that nobody notes anything in."""

    @contextmanager
    def question(self, question: str, mode: str) -> Iterator[Trace]:
        yield Trace(question, mode)


def collect(address: Queue[str], end: Queue[int]) -> None:
    """The collector's process: tells where it listens and, in the end, the spans that came."""
    with running() as collector:
        address.put(collector.url)
        end.get()
        end.put(len(collector.spans))


async def ask(engine: Engine, kind: str, questions: int, number: int) -> None:
    """Questions one after another; a number in them makes them new to the cache."""
    for place in range(questions):
        question = QUESTIONS[place % len(QUESTIONS)]
        await engine.ask(question if kind == "cached" else f"{question} ({number} {place})")


async def measure(rounds: int, questions: int, collector: str) -> dict[str, dict[str, dict[str, float]]]:
    with tempfile.TemporaryDirectory(prefix="dossier-tracing-") as folder:
        Path(folder).chmod(0o755)
        await stock(Path(folder))
        async with open_engine(load_settings(dossier_home=folder)) as engine:
            exporter = OtlpTraces(collector, {})
            tracers = dict(
                zip(WAYS, (Untraced(), engine.traces, Traces([engine.metrics, exporter])), strict=True)
            )
            spent: dict[tuple[str, str], list[tuple[float, float]]] = {}
            number = 0
            for round_ in range(-1, rounds):  # the first warms up
                for kind in KINDS:
                    for turn in range(len(WAYS)):
                        way = WAYS[(turn + round_) % len(WAYS)]
                        number += 1
                        engine._asker._traces = tracers[way]
                        many = questions * (5 if kind == "cached" else 1)
                        began, used = time.perf_counter(), time.process_time()
                        await ask(engine, kind, many, number)
                        if way == WAYS[2]:
                            await exporter.flush()
                        took = (time.perf_counter() - began) / many, (time.process_time() - used) / many
                        if round_ >= 0:
                            spent.setdefault((kind, way), []).append(took)
            await exporter.aclose()
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for kind in KINDS:
        without = spent[kind, WAYS[0]]
        for way in WAYS:
            own = spent[kind, way]
            figures.setdefault(kind, {})[way] = {
                "ms": statistics.median(wall for wall, _ in own) * 1000,
                "ratio": statistics.median(a[0] / b[0] for a, b in zip(own, without, strict=True)),
                "cpu_ms": statistics.median(cpu for _, cpu in own) * 1000,
                "cpu_ratio": statistics.median(a[1] / b[1] for a, b in zip(own, without, strict=True)),
            }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument(
        "--questions", type=int, default=40, help="of a round; five times as many cached ones"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    address: Queue[str] = context.Queue()
    end: Queue[int] = context.Queue()
    process = context.Process(target=collect, args=(address, end))
    process.start()
    try:
        figures: dict[str, Any] = asyncio.run(measure(options.rounds, options.questions, address.get()))
        end.put(0)
        process.join(10)
        received = end.get()
    finally:
        process.kill()
    if options.json:
        print(json.dumps(figures | {"received": received}))
        return
    print_table(
        ["questions", "tracing", "ms each", "ratio", "processor ms each", "ratio"],
        [
            [
                kind,
                way,
                f"{own['ms']:.2f}",
                f"{own['ratio']:.3f}",
                f"{own['cpu_ms']:.2f}",
                f"{own['cpu_ratio']:.3f}",
            ]
            for kind in KINDS
            for way, own in figures[kind].items()
        ],
    )
    print(f"\n{received:,} spans reached the collector")


if __name__ == "__main__":
    main()
