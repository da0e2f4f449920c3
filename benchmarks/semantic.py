"""How often the semantic cache would serve a wrong answer, and how often a right one.

    python -m benchmarks.semantic [--json]

Wrong: each real question of the shared collections is compared with the three nearest of its
collection that have another answer or another relevant passage; each is a question about the
same article, written to be told apart. Right: a quarter of them, changed as people change a
question (case, punctuation, a politeness, two letters swapped).

Held out: the threshold is chosen on nine tenths of the questions (the lowest whose bound is at most
1 wrong hit in 1,000) and judged on the tenth that it was not chosen on, ten times over. The bound
is the upper one of the 95 % confidence interval of Clopper and Pearson (1934).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from benchmarks.tables import SHARED, print_table
from engine.caching.semantic import least_similarity, word_vectors
from engine.evaluation.collection import read_collection
from engine.retrieval.embedders import EmbedderOptions, Embedding, open_embedder

COLLECTIONS = ("xquad-en", "xquad-vi", "squad2-en", "cranfield")
THRESHOLDS = (0.95, 0.96, 0.97, 0.98, 0.985, 0.9875, 0.99, 0.9925, 0.995)
CANDIDATES = np.arange(0.95, 1.001, 0.0005)
WRONG_PER_1000 = 1.0
PARTS = 10
AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and what tells its answer from others'."""

    collection: str
    text: str
    meaning: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Served:
    """What a threshold serves. right: share of the retyped questions; None where not looked at."""

    wrong_per_1000: float
    bound_per_1000: float
    right: float | None = None

    @classmethod
    def of(cls, wrong: NDArray[np.bool_], right: NDArray[np.bool_] | None = None) -> Served:
        hits, asked = int(wrong.sum()), len(wrong)
        bound = float(beta.ppf(0.975, hits + 1, asked - hits))
        return cls(1000 * hits / asked, 1000 * bound, None if right is None else float(right.mean()))


def judge_held_out(nearest: NDArray[np.float64], drawing: random.Random) -> tuple[Served, list[float]]:
    """Thresholds chosen and judged on different questions, and which were chosen."""
    order = [*range(len(nearest))]
    drawing.shuffle(order)
    wrong = np.zeros(len(nearest), bool)
    chosen: list[float] = []
    for part in np.array_split(np.array(order), PARTS):
        rest = np.delete(nearest, part)
        threshold = next(t for t in CANDIDATES if Served.of(rest >= t).bound_per_1000 <= WRONG_PER_1000)
        wrong[part] = nearest[part] >= threshold
        chosen.append(float(threshold))
    return Served.of(wrong), chosen


def questions() -> list[Asked]:
    asked: list[Asked] = []
    for name in COLLECTIONS:
        collection = read_collection(SHARED / name)
        for query in collection.queries:
            answers = tuple(sorted({answer.casefold() for answer in query.answers}))
            records = tuple(sorted(collection.relevance.get(query.id, {})))
            asked.append(Asked(name, query.text, (answers, records) if answers or records else (query.id,)))
    return asked


def written(text: str) -> str:
    """Two that differ by blanks and capitals only are one question, whatever their labels say."""
    return " ".join(text.casefold().rstrip("? ").split())


def varied(text: str, drawing: random.Random) -> str:
    """The same question as somebody else would type it."""
    words = text.split()
    place = drawing.randrange(len(words))
    word = words[place]
    if len(word) > 4:
        cut = drawing.randrange(1, len(word) - 2)
        words[place] = word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :]
    return drawing.choice(
        (
            text.lower().rstrip("?"),
            f"Please tell me: {text[:1].lower()}{text[1:]}",
            " ".join(words),
            f"{text} ??",
        )
    )


async def embed(texts: list[str]) -> list[Embedding]:
    with tempfile.TemporaryDirectory() as folder:
        embedder = await open_embedder("multilingual-e5-small", EmbedderOptions(Path(folder)))
        try:
            made: list[Embedding] = []
            for start in range(0, len(texts), AT_ONCE):
                made += await asyncio.gather(*map(embedder.embed_query, texts[start : start + AT_ONCE]))
            return made
        finally:
            await embedder.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    asked = questions()
    drawing = random.Random(4)
    changed = [place for place in range(len(asked)) if drawing.random() < 0.25]
    texts = [one.text for one in asked] + [varied(asked[place].text, drawing) for place in changed]
    made = asyncio.run(embed(texts))
    words = [word_vectors(text, embedding) for text, embedding in zip(texts, made, strict=True)]
    vectors = np.array([embedding.vector for embedding in made[: len(asked)]])
    collections = np.array([one.collection for one in asked])
    nearest = np.zeros(len(asked))
    for place, one in enumerate(asked):
        cosines = np.where(collections == one.collection, vectors @ vectors[place], -1)
        others = [
            other
            for other in np.argsort(-cosines)[:4]
            if other != place
            and asked[other].meaning != one.meaning
            and written(asked[other].text) != written(one.text)
        ]
        nearest[place] = max(
            (least_similarity(words[place], words[other]) for other in others[:3]), default=0
        )
    same = np.array(
        [least_similarity(words[place], words[len(asked) + n]) for n, place in enumerate(changed)]
    )
    rows = {t: Served.of(nearest >= t, same >= t) for t in THRESHOLDS}
    held_out, chosen = judge_held_out(nearest, drawing)
    if options.json:
        told = {str(t): asdict(row) for t, row in rows.items()}
        print(json.dumps({"thresholds": told, "held_out": asdict(held_out), "chosen": chosen}))
        return
    print(f"{len(asked):,} questions, {len(changed):,} of them also as somebody else would type them\n")
    print_table(
        ["threshold", "wrong hits in 1,000", "at most (95 %)", "share of retyped questions served"],
        [
            [f"{t}", f"{row.wrong_per_1000:.2f}", f"{row.bound_per_1000:.2f}", f"{row.right:.2f}"]
            for t, row in rows.items()
        ],
    )
    print(
        f"\nHeld out: {held_out.wrong_per_1000:.2f} wrong hits in 1,000, at most"
        f" {held_out.bound_per_1000:.2f}, at thresholds of {min(chosen):.4f} to {max(chosen):.4f}"
    )


if __name__ == "__main__":
    main()
