"""What tracing costs: the same questions without spans, with them, and with them exported by OTLP.

    python -m benchmarks.tracing [--questions 300] [--json]

The three ways take turns, question by question and in changing order, on one engine with the
sample corpus: questions that are computed anew, and questions that the cache answers, for which a
span weighs most. "Without" makes no span and no stage. The processor
time of sending is added to each question in equal parts; the collector is a real receiver in a process of
its own. Compared are
medians of the differences within a turn.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

from benchmarks.sessions import QUESTIONS, stock
from benchmarks.tables import print_table
from engine.engine import Engine, open_engine
from engine.observability import otlp
from engine.observability.trace import Trace
from engine.observability.traces import Traces
from engine.settings import load_settings
from tests.observability.otlp_server import running

WAYS = ("without", "spans", "spans, exported")
KINDS = ("computed", "cached")
TIMES_CACHED = 10
WARM_UP = 30
SENT_TOGETHER = 50
REST_SECONDS = 0.2  # after a batch a model's threads spin for a while, which is none of our time


class Untraced(Traces):
    """Gives a trace that nobody notes anything in; the metrics hear of it all the same."""

    @contextmanager
    def question(self, question: str, mode: str) -> Iterator[Trace]:
        for listener in self._listeners:
            listener.begun()
        yield (trace := Trace(question, mode))
        for listener in self._listeners:
            listener.ended(trace)


def collect(address: Queue[str], end: Queue[int]) -> None:
    """The collector's process: tells where it listens and, in the end, the spans that came."""
    with running() as collector:
        address.put(collector.url)
        end.get()
        end.put(len(collector.spans))


async def measure(questions: int, collector: str) -> dict[str, dict[str, dict[str, float]]]:
    otlp.EVERY_SECONDS = 3600.0  # sent when this says so, so that it can be timed
    with tempfile.TemporaryDirectory(prefix="dossier-tracing-") as folder:
        Path(folder).chmod(0o755)
        await stock(Path(folder))
        async with open_engine(load_settings(dossier_home=folder)) as engine:
            exporter = otlp.OtlpTraces(collector, {})
            tracers = (Untraced([engine.metrics]), engine.traces, Traces([engine.metrics, exporter]))
            figures = {}
            for kind in KINDS:
                many = questions * (TIMES_CACHED if kind == "cached" else 1)
                await compare(engine, tracers, exporter, kind, WARM_UP)
                figures[kind] = await compare(engine, tracers, exporter, kind, many)
            await exporter.aclose()
    return figures


async def compare(
    engine: Engine, tracers: Sequence[Traces], exporter: otlp.OtlpTraces, kind: str, questions: int
) -> dict[str, dict[str, float]]:
    """Each question three times, each way once, in changing order; a number makes it new to the cache."""
    spent: list[list[float]] = [[] for _ in WAYS]
    sending = 0.0
    for place in range(questions):
        for turn in range(len(WAYS)):
            way = (turn + place) % len(WAYS)
            question = QUESTIONS[place % len(QUESTIONS)]
            if kind == "computed":
                question = f"{question} ({time.monotonic_ns()})"
            engine._asker._traces = tracers[way]
            began = time.perf_counter()
            await engine.ask(question)
            spent[way].append((time.perf_counter() - began) * 1000)
        await engine.caches.drain()
        if place % SENT_TOGETHER == SENT_TOGETHER - 1:
            await asyncio.sleep(REST_SECONDS)
            began = time.process_time()  # it is sent aside; nobody waits for the collector
            await exporter.flush()
            sending += (time.process_time() - began) * 1000
    without = statistics.median(spent[0])
    figures = {}
    for name, own in zip(WAYS, spent, strict=True):
        more = statistics.median(a - b for a, b in zip(own, spent[0], strict=True))
        more += sending / questions if name == WAYS[2] else 0.0
        figures[name] = {"ms": without + more, "ratio": 1 + more / without}
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
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
        figures: dict[str, Any] = asyncio.run(measure(options.questions, address.get()))
        end.put(0)
        process.join(10)
        received = end.get()
    finally:
        process.kill()
    if options.json:
        print(json.dumps(figures | {"received": received}))
        return
    print_table(
        ["questions", "tracing", "ms each", "ratio"],
        [
            [kind, way, f"{own['ms']:.3f}", f"{own['ratio']:.3f}"]
            for kind in KINDS
            for way, own in figures[kind].items()
        ],
    )
    print(f"\n{received:,} spans reached the collector")


if __name__ == "__main__":
    main()
