"""How often the semantic cache would serve a wrong answer, and how often a right one.

    python -m benchmarks.semantic [--json]

Wrong: each real question of the shared collections is compared with the three nearest of its
collection that have another answer or another relevant passage; each is a question about the
same article, written to be told apart. Right: a quarter of them, changed as people change a
question (case, punctuation, a politeness, two letters swapped).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.tables import SHARED, print_table
from engine.caching.semantic import least_similarity, word_vectors
from engine.evaluation.collection import read_collection
from engine.retrieval.embedders import EmbedderOptions, Embedding, open_embedder

COLLECTIONS = ("xquad-en", "xquad-vi", "squad2-en", "cranfield")
THRESHOLDS = (0.95, 0.96, 0.97, 0.98, 0.985, 0.99)
AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and what tells its answer from others'."""

    collection: str
    text: str
    meaning: tuple[object, ...]


def questions() -> list[Asked]:
    asked: list[Asked] = []
    for name in COLLECTIONS:
        collection = read_collection(SHARED / name)
        for query in collection.queries:
            answers = tuple(sorted({answer.casefold() for answer in query.answers}))
            records = tuple(sorted(collection.relevance.get(query.id, {})))
            asked.append(Asked(name, query.text, (answers, records) if answers or records else (query.id,)))
    return asked


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
            and asked[other].text.casefold() != one.text.casefold()
        ]
        nearest[place] = max(
            (least_similarity(words[place], words[other]) for other in others[:3]), default=0
        )
    same = np.array(
        [least_similarity(words[place], words[len(asked) + n]) for n, place in enumerate(changed)]
    )
    rows = {t: (1000 * float((nearest >= t).mean()), float((same >= t).mean())) for t in THRESHOLDS}
    if options.json:
        print(json.dumps({str(t): {"wrong_per_1000": w, "right": r} for t, (w, r) in rows.items()}))
        return
    print(f"{len(asked):,} questions, {len(changed):,} of them also as somebody else would type them\n")
    print_table(
        ["threshold", "wrong hits in 1,000", "share of retyped questions served"],
        [[f"{t}", f"{wrong:.2f}", f"{right:.2f}"] for t, (wrong, right) in rows.items()],
    )


if __name__ == "__main__":
    main()
