"""What the cache is worth: a stream of questions as people ask them, layer by layer.

    python -m benchmarks.cache [--passages 100000] [--stream 20000] [--distinct 2000] [--json]

The stream is Zipf-distributed (the r-th most frequent question is asked in proportion to 1/r)
over real questions of the shared collections, on the corpus of benchmarks.retrieval and a
Valkey of its own. L1's hit rate is compared with Belady's: what a cache of that size could
reach at most, knowing the future (Belady 1966).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import SecretStr

from benchmarks.retrieval import build, questions
from benchmarks.tables import ROOT, percentiles, print_table
from engine.caching.caches import Caches
from engine.engine import Engine, open_engine
from engine.retrieval.model import Retrieval
from engine.settings import Settings, load_settings
from tests.redis_server import RedisServer, binaries, running


def zipf_stream(length: int, distinct: int, seed: int = 11) -> list[int]:
    """Indices of questions, the r-th most frequent in proportion to 1/r."""
    weights = 1 / np.arange(1, distinct + 1)
    drawn = np.random.default_rng(seed).choice(distinct, size=length, p=weights / weights.sum())
    return [int(index) for index in drawn]


def belady(stream: Sequence[int], capacity: int) -> float:
    """Hit rate of the best possible replacement: what is used again last, or never, goes."""
    following = [0] * len(stream)
    seen: dict[int, int] = {}
    for place in range(len(stream) - 1, -1, -1):
        following[place] = seen.get(stream[place], len(stream) + place)
        seen[stream[place]] = place
    latest: list[tuple[int, int]] = []  # a heap of (-next use, key); outdated pairs are passed over
    next_use: dict[int, int] = {}
    hits = 0
    for place, key in enumerate(stream):
        if key in next_use:
            hits += 1
        elif len(next_use) >= capacity:
            while True:
                when, gone = heappop(latest)
                if next_use.get(gone) == -when:
                    del next_use[gone]
                    break
        next_use[key] = following[place]
        heappush(latest, (-following[place], key))
    return hits / len(stream)


async def replay(engine: Engine, asked: Sequence[str]) -> tuple[Counter[str], dict[str, list[float]]]:
    """Who served each question's retrieval, and how long the whole answer took (milliseconds)."""
    served: Counter[str] = Counter()
    spent: dict[str, list[float]] = {}
    for question in asked:
        started = time.perf_counter()
        answer = await engine.ask(question)
        layer = answer.receipt.cache["retrieval"]
        served[layer] += 1
        spent.setdefault(layer, []).append((time.perf_counter() - started) * 1000)
    return served, spent


async def look_ups(caches: Caches, keys: Sequence[list[Any]]) -> dict[str, list[float]]:
    """Milliseconds of a cached retrieval result from each layer, nothing else done."""

    async def never() -> Any:
        raise AssertionError("it should have been cached")

    spent: dict[str, list[float]] = {"L1": [], "L2": [], "L3": []}
    for layer, emptied in (("L1", ()), ("L2", ("L1",)), ("L3", ("L1", "L2"))):
        for key in keys:
            await caches.clear(emptied)
            started = time.perf_counter()
            await caches.results.get(key, never)
            spent[layer].append((time.perf_counter() - started) * 1000)
    return spent


async def paused(engine: Engine, server: RedisServer, fresh: Sequence[str]) -> dict[str, list[float]]:
    """Milliseconds of fresh questions with Redis well, at the moment it hangs, and after that."""

    async def timed(asked: Sequence[str]) -> list[float]:
        spent = []
        for question in asked:
            started = time.perf_counter()
            await engine.ask(question)
            spent.append((time.perf_counter() - started) * 1000)
        return spent

    third = len(fresh) // 3
    well = await timed(fresh[:third])
    server.pause()
    try:
        first = await timed(fresh[third : third + 1])
        return {"Redis well": well, "the question that meets it hanging": first} | {
            "the questions after that": await timed(fresh[third + 1 : 2 * third])
        }
    finally:
        server.resume()


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    home = ROOT / "build" / "benchmarks" / f"retrieval-{options.passages}"
    home.mkdir(parents=True, exist_ok=True)
    everything = questions(options.distinct + 400)
    distinct, fresh = everything[: options.distinct], everything[options.distinct :]
    stream = zipf_stream(options.stream, options.distinct)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), binaries()["valkey"]) as server:

        def own(**changed: object) -> Settings:
            return load_settings(
                dossier_home=home,
                enable_redis_cache=True,
                redis_url=SecretStr(server.url),
                **changed,
            )

        async with AsyncExitStack() as stack:
            engine = await stack.enter_async_context(open_engine(own()))
            await build(engine, home, options.passages)
            await engine.operations.clear_cache()
            await replay(engine, fresh[:20])
            served, spent = await replay(engine, [distinct[index] for index in stream])
            figures["served"] = {
                layer: served[layer] / options.stream for layer in ("L1", "L2", "L3", "miss")
            }
            size = engine.settings.l1_cache_maxsize
            figures["belady"] = belady(stream, size)
            figures["ever repeated"] = 1 - len(set(stream)) / len(stream)
            figures["answer"] = {layer: percentiles(ms) for layer, ms in sorted(spent.items())}
            figures["redis paused"] = {
                name: percentiles(ms) for name, ms in (await paused(engine, server, fresh[20:320])).items()
            }
            await asyncio.sleep(1.5)  # the client looks for Redis once a second
            caches = engine.caches
            keys = [[f"benchmark {n}"] for n in range(100)]
            found = tuple(await engine.search(distinct[0], k=50))
            some = await caches.results.get(["filled"], _value(Retrieval(found, len(found))))
            for key in keys:
                await caches.results.get(key, _value(some))
            await caches.drain()
            figures["look-up"] = {
                layer: percentiles(ms) for layer, ms in (await look_ups(caches, keys)).items()
            }
        off = own(l1_cache_maxsize=0, enable_postgres_cache=False).model_copy(
            update={"enable_redis_cache": False}
        )
        async with open_engine(off) as engine:
            part = [distinct[index] for index in stream[: options.stream // 20]]
            _, without = await replay(engine, part)
        fresh_ms = [ms for each in without.values() for ms in each]
    figures["answer"]["cache off"] = percentiles(fresh_ms)
    on = sum(sum(each) for each in spent.values()) / options.stream
    figures["mean on against off"] = float(np.mean(fresh_ms)) / on
    figures["repeated against fresh"] = figures["answer"]["cache off"]["p50"] / figures["answer"]["L1"]["p50"]
    return figures


def _value(value: Any) -> Any:
    async def give() -> Any:
        return value

    return give


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--stream", type=int, default=20_000)
    parser.add_argument("--distinct", type=int, default=2_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = asyncio.run(measure(options))
    if options.json:
        print(json.dumps(figures))
        return
    print_table(["retrieval served by", "share"], [[k, f"{v:.4f}"] for k, v in figures["served"].items()])
    print(f"\nBest possible for L1's size: {figures['belady']:.4f};", end=" ")
    print(f"for any size: {figures['ever repeated']:.4f}\n")
    for title, part in (
        ("whole answer, retrieval served by", "answer"),
        ("look-up of a retrieval result", "look-up"),
        ("fresh question", "redis paused"),
    ):
        rows = [[name, f"{p['p50']:.2f}", f"{p['p95']:.2f}"] for name, p in figures[part].items()]
        print_table([title, "p50 ms", "p95 ms"], rows)
        print()
    print("Times as fast as without a cache:", end=" ")
    print(f"a repeated question {figures['repeated against fresh']:.1f}, ", end="")
    print(f"the stream as a whole {figures['mean on against off']:.1f}.")


if __name__ == "__main__":
    main()
