"""Documents in two languages: what a question finds in its own, and in the other.

    python -m benchmarks.languages [--every 2]

Of xquad's articles each second one (or third, …) stands in English, the others in Vietnamese, none
in both; each question is asked in both languages. Answers are measured by the gold ones of the
language that the article stands in.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

from benchmarks.tables import SHARED, print_table
from engine.evaluation.collection import Record, TestCollection, read_collection
from engine.evaluation.evaluate import evaluate
from engine.settings import load_settings

PIPELINES = ("hybrid", "hybrid+built-in")
NAMES = {"en": "English", "vi": "Vietnamese"}


def main() -> None:
    parser = argparse.ArgumentParser(description="Questions across languages.")
    parser.add_argument("--every", type=int, default=2, help="which articles stand in English")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        settings = load_settings(_env_file=None, dossier_home=Path(home))
        rows = []
        for collection in collections(options.every):
            found = asyncio.run(evaluate(settings, collection, PIPELINES))
            figures = [f"{found.pipelines[name]['ndcg@10']:.4f}" for name in PIPELINES]
            rows.append(
                [collection.name, str(len(collection.queries)), *figures, f"{found.answer_recall:.3f}"]
            )
            print(rows[-1], flush=True)
    print_table(["asked in → answered in", "questions", *PIPELINES, "answer recall"], rows)


def collections(every: int) -> Iterator[TestCollection]:
    """The same documents four times, with the questions of each way."""
    read = {language: read_collection(SHARED / f"xquad-{language}") for language in NAMES}
    # The articles that are asked about first, so that they are spread evenly over both languages.
    asked = {record[3:] for of in read["en"].relevance.values() for record in of}
    own = [record for record in read["en"].corpus if record.id[3:] in asked]
    articles = list(dict.fromkeys(record.title for record in [*own, *read["en"].corpus]))
    english = {title for number, title in enumerate(articles) if number % every == 0}
    language = {r.id[3:]: "en" if r.title in english else "vi" for r in read["en"].corpus}
    corpus = tuple(_standing(read, language))
    for asking, answering in product(NAMES, NAMES):
        told = {query.id: query for query in read[answering].queries}
        relevance = {
            query: of
            for query, of in read[answering].relevance.items()
            if all(language[record[3:]] == answering for record in of)
        }
        queries = [query for query in read[asking].queries if query.id in relevance]
        yield TestCollection(
            f"{NAMES[asking]} → {NAMES[answering]}",
            corpus,
            tuple(replace(query, answers=told[query.id].answers) for query in queries),
            relevance,
        )


def _standing(read: dict[str, TestCollection], language: dict[str, str]) -> Iterator[Record]:
    for name, collection in read.items():
        yield from (record for record in collection.corpus if language[record.id[3:]] == name)


if __name__ == "__main__":
    main()
