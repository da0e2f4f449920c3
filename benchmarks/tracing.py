"""What tracing costs: the same questions without spans, with them, and with them exported by OTLP.

    python -m benchmarks.tracing [--seconds 120] [--json]

Questions are asked as programs ask them, one after the other, of the server with the sample corpus:
questions that are computed anew, questions that the cache answers, for which a span weighs most, and both
in the shares that users bring.
The three ways take turns, some questions each, in changing order. "Without" makes no span and no
stage. Compared is processor time, which other programs disturb least: what a question takes of the
event loop's thread, where all of tracing happens but the sending, whose time is added to each question
in equal parts. The collector is a real receiver in a process of its own. The overhead is the median of
the differences within a turn, with the 95 % interval of that median (bootstrap), over the median of all
processor time that a question takes of the server without.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import multiprocessing
import os
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from numpy.typing import NDArray

from benchmarks.sessions import QUESTIONS, stock
from benchmarks.tables import print_table
from engine.engine import Engine
from engine.observability import otlp
from engine.observability.trace import Origin, Trace
from engine.observability.traces import Traces
from tests.observability.otlp_server import running

Figures = dict[str, Any]

WAYS = ("without", "spans", "spans, exported")
# How many are asked at a stretch, and how many of them are new to the cache. As users ask: 93 % are answered
# by the cache in the load test with 200 of them.
KINDS = {"computed": (1, 1), "cached": (20, 0), "as users ask": (14, 1)}
WARM_UP = 0.1  # of the seconds, before each kind
LEAST = 5  # turns
RESAMPLES = 2000
SEND_EVERY = len(WAYS) * otlp.EVERY_SECONDS  # as many as one way asks in the exporter's own time
START_SECONDS = 60
ENOUGH_SECONDS = 30


class Untraced(Traces):
    """Gives a trace that nobody notes anything in; the metrics hear of it all the same."""

    def question(self, question: str, mode: str) -> AbstractContextManager[Trace]:
        return self._unnoted(question, mode)

    @contextmanager
    def _unnoted(self, question: str, mode: str) -> Iterator[Trace]:
        for listener in self._listeners:
            listener.begun()
        yield (trace := Trace(question, mode))
        for listener in self._listeners:
            listener.ended(trace)


class Exporter(otlp.OtlpTraces):
    """Knows what it took the thread that packs."""

    packing = 0.0  # seconds

    def _encode(self, batch: Sequence[Trace]) -> bytes:
        began = time.thread_time()
        packed = super()._encode(batch)
        self.packing += time.thread_time() - began
        return packed


def collect(address: Queue[str], end: Queue[int]) -> None:
    """The collector's process: tells where it listens and, in the end, the spans that came."""
    with running() as collector:
        address.put(collector.url)
        end.get()
        end.put(len(collector.spans))


@dataclass
class Served:
    """The server, in a thread of its own, and a program that asks it."""

    engine: Engine
    loop: asyncio.AbstractEventLoop
    clock: int  # of the loop's thread
    client: http.client.HTTPConnection

    def ask(self, question: str) -> None:
        """One question. Raises RuntimeError if it is not answered."""
        body = json.dumps({"question": question}).encode()
        self.client.request("POST", "/api/ask", body, {"Content-Type": "application/json"})
        reply = self.client.getresponse()
        if reply.status != 200:
            raise RuntimeError(f"{reply.status}: {reply.read()!r}")
        reply.read()

    def run(self, work: Coroutine[Any, Any, Any]) -> None:
        """Something on the loop."""
        asyncio.run_coroutine_threadsafe(work, self.loop).result(ENOUGH_SECONDS)

    def spent(self) -> tuple[float, float]:
        """Seconds of processor time: of the loop's thread, and of all but who asks."""
        return time.clock_gettime(self.clock), time.process_time() - time.thread_time()


@contextmanager
def served(home: Path) -> Iterator[Served]:
    os.environ["DOSSIER_HOME"] = str(home)
    from app import server

    # Named TCP, or asyncio leaves its small packets to wait for each other.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        uvicorn_server = uvicorn.Server(uvicorn.Config(server.app, log_level="warning"))
        loops: list[asyncio.AbstractEventLoop] = []

        async def serve() -> None:
            loops.append(asyncio.get_running_loop())
            await uvicorn_server.serve([listening])

        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        try:
            deadline = time.monotonic() + START_SECONDS
            while not uvicorn_server.started and time.monotonic() < deadline:
                time.sleep(0.05)
            assert thread.ident is not None
            yield Served(
                server.opened(),
                loops[0],
                time.pthread_getcpuclockid(thread.ident),
                http.client.HTTPConnection("127.0.0.1", listening.getsockname()[1], timeout=ENOUGH_SECONDS),
            )
        finally:
            uvicorn_server.should_exit = True
            thread.join()


def measure(seconds: float, collector: str) -> dict[str, Figures]:
    otlp.EVERY_SECONDS = 3600.0  # sent when this says so, so that it can be timed
    with tempfile.TemporaryDirectory(prefix="dossier-tracing-") as folder:
        Path(folder).chmod(0o755)
        asyncio.run(stock(Path(folder)))
        with served(Path(folder)) as server:
            exporter = Exporter(collector, {})
            metrics = server.engine.metrics
            tracers = (Untraced([metrics]), server.engine.traces, Traces([metrics, exporter]))
            figures = {}
            for kind in KINDS:
                compare(server, tracers, exporter, kind, WARM_UP * seconds)
                figures[kind] = compare(server, tracers, exporter, kind, seconds / len(KINDS))
            server.run(exporter.aclose())
    return figures


def compare(
    server: Served, tracers: Sequence[Traces], exporter: Exporter, kind: str, seconds: float
) -> Figures:
    """Each question three times, each way once, in changing order; a number makes it new to the cache."""
    loop: list[list[float]] = [[] for _ in WAYS]
    whole: list[float] = []
    sending = 0.0
    until = time.monotonic() + seconds
    turns, (many, new) = 0, KINDS[kind]
    sent_at = time.monotonic()
    while time.monotonic() < until or turns < LEAST:
        for turn in range(len(WAYS)):
            way = (turn + turns) % len(WAYS)
            use(server, tracers[way], traced=way > 0)
            before = server.spent()
            for place in range(turns * many, (turns + 1) * many):
                question = QUESTIONS[place % len(QUESTIONS)]
                server.ask(f"{question} ({time.monotonic_ns()})" if place % many < new else question)
            server.run(server.engine.caches.drain())  # what is written after the answer is not the next one's
            after = server.spent()
            loop[way].append((after[0] - before[0]) * 1000 / many)
            if way == 0:
                whole.append((after[1] - before[1]) * 1000 / many)
        turns += 1
        if time.monotonic() > sent_at + SEND_EVERY:
            sending += sent(server, exporter)
            sent_at = time.monotonic()
    sending += sent(server, exporter)
    without = statistics.median(whole)
    figures: Figures = {"questions": turns * many, "without, ms": without}
    for name, own in zip(WAYS[1:], loop[1:], strict=True):
        each = sending / (turns * many) if name == WAYS[2] else 0.0
        more = np.subtract(own, loop[0]) + each
        low, high = interval(more)
        figures[name] = {
            "added ms": float(np.median(more)),
            "overhead": float(np.median(more)) / without,
            "95 % from": low / without,
            "to": high / without,
        }
    return figures


def use(server: Served, tracer: Traces, *, traced: bool) -> None:
    """Have the questions of one way traced so; without, the route leaves no span either."""
    from app import tracing

    server.engine._asker._traces = tracer
    setattr(tracing, "Origin", Origin if traced else no_origin)  # noqa: B010


def no_origin(*_: object, **__: object) -> AbstractContextManager[None]:
    return contextlib.nullcontext()


def sent(server: Served, exporter: Exporter) -> float:
    """Milliseconds of processor time that sending what is queued takes."""
    packed, began = exporter.packing, time.clock_gettime(server.clock)
    server.run(exporter.flush())
    return (time.clock_gettime(server.clock) - began + exporter.packing - packed) * 1000


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
        figures: dict[str, Any] = measure(options.seconds, address.get(timeout=60))
        end.put(0)
        process.join(10)
        received = end.get(timeout=10)
    finally:
        process.kill()
    if options.json:
        print(json.dumps(figures | {"received": received}))
        return
    print_table(
        ["questions", "asked", "ms without", "tracing", "ms more", "overhead", "95 %"],
        [row(kind, figures[kind], way) for kind in KINDS for way in WAYS[1:]],
    )
    print(f"\n{received:,} spans reached the collector")


if __name__ == "__main__":
    main()
