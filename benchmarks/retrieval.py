"""Search and quoted answers over 100,000 passages: latency, and recall of the vector index.

    python -m benchmarks.retrieval [--passages 100000] [--questions 200] [--json]

Passages are sentences of the shared collections drawn at random within an article, about
450 characters each. The corpus is built once, under build/benchmarks, and kept. Every
question is fresh: nothing is cached but the database's own pages.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
from pgvector import HalfVector
from sqlalchemy import text

from benchmarks.tables import ROOT, SHARED, percentiles, print_table
from engine.documents.model import DocumentFilter, PassageDraft
from engine.engine import Engine, open_engine
from engine.retrieval.scope import resolve_scope
from engine.settings import load_settings
from engine.text.sentences import split_sentences

COLLECTIONS = ("xquad-en", "xquad-vi", "squad2-en", "cranfield")
PER_DOCUMENT = 50
CHARACTERS = 450


def sentences() -> list[list[str]]:
    """Sentences of every article of the shared collections."""
    articles: dict[str, list[str]] = {}
    for name in COLLECTIONS:
        for line in (SHARED / name / "corpus.jsonl").read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            article = f"{name} {record['title']}" if name != "cranfield" else f"cranfield {record['id'][:2]}"
            body = record["text"]
            articles.setdefault(article, []).extend(body[a:b] for a, b in split_sentences(body))
    return list(articles.values())


def make_document(articles: list[list[str]], random_source: random.Random) -> list[PassageDraft]:
    """Passages of randomly drawn sentences, each passage within one article."""
    drafts: list[PassageDraft] = []
    start = 0
    for position in range(PER_DOCUMENT):
        article = random_source.choice(articles)
        drawn: list[str] = []
        while sum(map(len, drawn)) < CHARACTERS:
            drawn.append(random_source.choice(article))
        body = " ".join(drawn)[:1500]
        drafts.append(PassageDraft(position, body, "", start, start + len(body)))
        start += len(body) + 1
    return drafts


async def build(engine: Engine, passages: int) -> None:
    """Fill the corpus up to that many passages."""
    articles = sentences()
    have = (await engine.documents.statistics()).passages
    for number in range(have // PER_DOCUMENT, passages // PER_DOCUMENT):
        drafts = make_document(articles, random.Random(number))
        await engine.ingestion.ingest_passages([(f"document {number}", drafts)])
        if number % 20 == 0:
            print(f"\r{number * PER_DOCUMENT:,} passages", end="", flush=True)
    async with engine.database.autocommit() as db:
        await db.execute(text("VACUUM ANALYZE"))


def questions(number: int) -> list[str]:
    """Real questions, in both languages."""
    drawn: list[str] = []
    for name in COLLECTIONS:
        lines = (SHARED / name / "queries.jsonl").read_text(encoding="utf-8").splitlines()
        drawn += [json.loads(line)["text"] for line in lines]
    return random.Random(7).sample(drawn, number)


async def timed(engine: Engine, asked: list[str], call: Callable[[str], Awaitable[Any]]) -> list[float]:
    """Milliseconds of each call, nothing cached in between."""
    spent: list[float] = []
    for question in asked:
        engine.clear_caches()
        started = time.perf_counter()
        await call(question)
        spent.append((time.perf_counter() - started) * 1000)
    return spent


async def recall(engine: Engine, asked: list[str]) -> tuple[float, list[float], list[float]]:
    """Recall@50 of HNSW against an exact scan, and milliseconds of both."""
    index, shares, graph_ms, exact_ms = engine.vectors, [], [], []
    async with engine.database.read() as db:
        scope = await resolve_scope(db, DocumentFilter())
        for question in asked:
            embedding = await engine.embed_question(question)
            started = time.perf_counter()
            found = await index.search(db, embedding.vector, scope, 50)
            graph_ms.append((time.perf_counter() - started) * 1000)
            started = time.perf_counter()
            rows = await db.execute(
                text(
                    f"SELECT passage_id FROM {index.table}"
                    " ORDER BY (embedding <#> :vector) + 0 LIMIT 50"
                ),
                {"vector": HalfVector(embedding.vector)},
            )
            exact = {passage_id for (passage_id,) in rows}
            exact_ms.append((time.perf_counter() - started) * 1000)
            shares.append(len(exact & found.keys()) / len(exact))
    return float(np.mean(shares)), graph_ms, exact_ms


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    home = ROOT / "build" / "benchmarks" / f"retrieval-{options.passages}"
    home.mkdir(parents=True, exist_ok=True)
    settings = load_settings(dossier_home=home)
    async with open_engine(settings) as engine:
        await build(engine, options.passages)
        asked = questions(options.questions)
        for question in asked[:20]:
            await engine.ask(question)
        stages: dict[str, Callable[[str], Awaitable[Any]]] = {
            "lexical search (BM25)": lambda q: engine.search(q, pipeline="bm25"),
            "vector search, embedding included": lambda q: engine.search(q, pipeline="dense"),
            "retrieval: both, fused": lambda q: engine.search(q, pipeline="hybrid"),
            "retrieval and reranking": lambda q: engine.search(q),
            "question to full quoted answer": engine.ask,
        }
        rows = {name: await timed(engine, asked, call) for name, call in stages.items()}
        rows["the same question again (L1)"] = []
        for question in asked:
            await engine.ask(question)
            started = time.perf_counter()
            await engine.ask(question)
            rows["the same question again (L1)"].append((time.perf_counter() - started) * 1000)
        share, rows["HNSW alone"], rows["exact scan alone"] = await recall(engine, asked)
        size = await disk(engine)
    whole = float(np.percentile(rows["question to full quoted answer"], 50))
    if options.json:
        figures = {name: percentiles(spent) for name, spent in rows.items()}
        print(json.dumps({"passages": options.passages, "recall@50": share, "bytes": size, "ms": figures}))
        return
    print_table(
        ["stage", "p50 ms", "p95 ms", "share of the whole (p50)"],
        [
            [name, f"{p['p50']:.1f}", f"{p['p95']:.1f}", f"{p['p50'] / whole:.2f}"]
            for name, p in ((name, percentiles(spent)) for name, spent in rows.items())
        ],
    )
    print(f"\n{options.passages:,} passages; HNSW recall@50 against exact: {share:.4f}; {size / 1e9:.2f} GB on disk")


async def disk(engine: Engine) -> int:
    """Bytes that the database takes."""
    async with engine.database.read() as db:
        return int((await db.execute(text("SELECT pg_database_size(current_database())"))).scalar_one())


if __name__ == "__main__":
    asyncio.run(main())
