"""What tracing costs: the same questions without spans, with them, and with them exported by OTLP.

    python -m benchmarks.tracing [--seconds 120] [--json]

The three ways take turns, question by question and in changing order, on one engine with the
sample corpus: questions that are computed anew, and questions that the cache answers, for which a
span weighs most. "Without" makes no span and no stage. Compared is processor time, which other
programs disturb least: what a question takes of the event loop's thread, where all of tracing
happens but the sending, whose time is added to each question in equal parts. The collector is a
real receiver in a process of its own. The overhead is the median of the differences within a turn,
with the 95 % interval of that median (bootstrap), over the median of all processor time that a
question takes without.
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

import numpy as np
from numpy.typing import NDArray

from benchmarks.sessions import QUESTIONS, stock
from benchmarks.tables import print_table
from engine.engine import Engine, open_engine
from engine.observability import otlp
from engine.observability.trace import Trace
from engine.observability.traces import Traces
from engine.settings import load_settings
from tests.observability.otlp_server import running

Figures = dict[str, Any]

WAYS = ("without", "spans", "spans, exported")
KINDS = ("computed", "cached")
WARM_UP = 0.1  # of the seconds, before each kind
LEAST = 5  # turns
RESAMPLES = 2000
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


async def measure(seconds: float, collector: str) -> dict[str, Figures]:
    otlp.EVERY_SECONDS = 3600.0  # sent when this says so, so that it can be timed
    with tempfile.TemporaryDirectory(prefix="dossier-tracing-") as folder:
        Path(folder).chmod(0o755)
        await stock(Path(folder))
        async with open_engine(load_settings(dossier_home=folder)) as engine:
            exporter = otlp.OtlpTraces(collector, {})
            tracers = (Untraced([engine.metrics]), engine.traces, Traces([engine.metrics, exporter]))
            figures = {}
            for kind in KINDS:
                await compare(engine, tracers, exporter, kind, WARM_UP * seconds)
                figures[kind] = await compare(engine, tracers, exporter, kind, seconds / len(KINDS))
            await exporter.aclose()
    return figures


async def compare(
    engine: Engine, tracers: Sequence[Traces], exporter: otlp.OtlpTraces, kind: str, seconds: float
) -> Figures:
    """Each question three times, each way once, in changing order; a number makes it new to the cache."""
    loop: list[list[float]] = [[] for _ in WAYS]
    whole: list[float] = []
    sending = 0.0
    until = time.monotonic() + seconds
    place = 0
    while time.monotonic() < until or place < LEAST:
        for turn in range(len(WAYS)):
            way = (turn + place) % len(WAYS)
            question = QUESTIONS[place % len(QUESTIONS)]
            if kind == "computed":
                question = f"{question} ({time.monotonic_ns()})"
            engine._asker._traces = tracers[way]
            began, began_all = time.thread_time(), time.process_time()
            await engine.ask(question)
            loop[way].append((time.thread_time() - began) * 1000)
            if way == 0:
                whole.append((time.process_time() - began_all) * 1000)
            await engine.caches.drain()  # what is written after the answer is not the next one's
        place += 1
        if place % SENT_TOGETHER == 0:
            sending += await sent(exporter)
    sending += await sent(exporter)
    without = statistics.median(whole)
    figures: Figures = {"questions": place, "without, ms": without}
    for name, own in zip(WAYS[1:], loop[1:], strict=True):
        each = sending / place if name == WAYS[2] else 0.0
        more = np.subtract(own, loop[0]) + each
        low, high = interval(more)
        figures[name] = {
            "added ms": float(np.median(more)),
            "overhead": float(np.median(more)) / without,
            "95 % from": low / without,
            "to": high / without,
        }
    return figures


async def sent(exporter: otlp.OtlpTraces) -> float:
    """Milliseconds of processor time that sending what is queued takes."""
    await asyncio.sleep(REST_SECONDS)
    began = time.process_time()
    await exporter.flush()
    return (time.process_time() - began) * 1000


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """95 % of the median, by the bootstrap."""
    drawn = np.random.default_rng(1).choice(values, (RESAMPLES, len(values)))
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    return float(low), float(high)


def row(kind: str, figures: Figures, way: str) -> list[str]:
    own = figures[way]
    return [
        kind,
        str(figures["questions"]),
        f"{figures['without, ms']:.2f}",
        way,
        f"{own['added ms']:.3f}",
        f"{own['overhead']:.2%}",
        f"{own['95 % from']:.2%} to {own['to']:.2%}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="of measuring, in all")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    address: Queue[str] = context.Queue()
    end: Queue[int] = context.Queue()
    process = context.Process(target=collect, args=(address, end))
    process.start()
    try:
        figures: dict[str, Any] = asyncio.run(measure(options.seconds, address.get(timeout=60)))
        end.put(0)
        process.join(10)
        received = end.get(timeout=10)
    finally:
        process.kill()
    if options.json:
        print(json.dumps(figures | {"received": received}))
        return
    print_table(
        ["questions", "turns", "ms without", "tracing", "ms more", "overhead", "95 %"],
        [row(kind, figures[kind], way) for kind in KINDS for way in WAYS[1:]],
    )
    print(f"\n{received:,} spans reached the collector")


if __name__ == "__main__":
    main()
