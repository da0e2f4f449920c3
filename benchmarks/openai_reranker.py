"""Requests of the openai reranker at once against one after another.

    python -m benchmarks.openai_reranker [--passages 10] [--milliseconds 300] [--rounds 5] [--json]

A local server that speaks the protocol answers each request after the given time, as the real
one does after its own; so this measures what Dossier adds, not how good or fast a model is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.tables import print_table
from engine.documents.model import Passage
from engine.reranking.openai import OpenAIReranker
from engine.reranking.options import RerankerOptions
from tests.openai_server import OpenAIServer, Reply

ARMS = ("sequential", "parallel", "listwise")


def main() -> None:
    parser = argparse.ArgumentParser(description="The openai reranker, parallel against sequential.")
    parser.add_argument("--passages", type=int, default=10)
    parser.add_argument("--milliseconds", type=float, default=300, help="of one request")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    text = "The validity of bids is stated in the invitation to tender. " * 15
    passages = [
        Passage(n, n, "Tender", "docx", "active", 1, 0, f"{n}. {text}", "", "", None, 0, 1, str(n))
        for n in range(options.passages)
    ]
    spent = asyncio.run(_measure(passages, options.milliseconds / 1000, options.rounds))
    if options.json:
        print(json.dumps(spent))
        return
    print_table(
        ["arm", "ms", "times as fast"],
        [[name, f"{ms:,.0f}", f"{spent['sequential'] / ms:.1f}"] for name, ms in spent.items()],
    )


async def _measure(passages: Sequence[Passage], seconds: float, rounds: int) -> dict[str, float]:
    """Milliseconds a question, the median of the rounds after one that opens the connections."""
    ranking = json.dumps({"ranking": list(range(1, len(passages) + 1))})
    spent: dict[str, float] = {}
    with OpenAIServer() as server:
        for name in ARMS:
            server.default = Reply(ranking if name == "listwise" else '{"score": 7}', delay_first=seconds)
            reranker = OpenAIReranker(
                RerankerOptions(
                    Path(),
                    openai_base_url=server.url,
                    openai_parallel=name != "sequential",
                    openai_listwise=name == "listwise",
                    openai_timeout_seconds=60,
                )
            )
            times: list[float] = []
            for n in range(rounds + 1):
                started = time.perf_counter()
                scores = await reranker.score(f"How long are bids valid, {n}?", passages)
                times.append((time.perf_counter() - started) * 1000)
                assert None not in scores.values
            spent[name] = round(statistics.median(times[1:]), 1)
            await reranker.aclose()
    return spent


if __name__ == "__main__":
    main()
