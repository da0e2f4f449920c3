"""Search and quoted answers over 100,000 passages: latency, and recall of the vector index.

    python -m benchmarks.retrieval [--passages 100000] [--questions 200] [--json]

Passages are sentences of the shared collections drawn at random within an article, about
450 characters each. To build so many within minutes, each sentence is embedded once: a
passage's vector is the mean of its sentences' (the embedder pools tokens by their mean too),
its token vectors are theirs. The corpus is kept under build/benchmarks. Every question is
fresh: nothing is cached but the database's own pages.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pgvector import HalfVector
from sqlalchemy import text

from benchmarks.tables import ROOT, SHARED, percentiles, print_table
from engine.documents.index import DocumentIndex, IndexedPassage, PreparedDocument
from engine.documents.model import DocumentFilter, Metadata, PassageDraft
from engine.engine import Engine, open_engine
from engine.reranking.packed_tokens import encode_tokens
from engine.retrieval.embedders import EmbedderOptions, Embedding, TokenEmbeddings, open_embedder
from engine.retrieval.scope import resolve_scope
from engine.settings import load_settings
from engine.text.analysis import analyse
from engine.text.languages import detect_language
from engine.text.sentences import split_sentences

COLLECTIONS = ("xquad-en", "xquad-vi", "squad2-en", "cranfield")
PER_DOCUMENT = 50
CHARACTERS = 450
PER_ARTICLE = 60  # sentences


def sentences() -> list[list[str]]:
    """Sentences of every article of the shared collections."""
    articles: dict[str, list[str]] = {}
    for name in COLLECTIONS:
        for line in (SHARED / name / "corpus.jsonl").read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            article = f"{name} {record['title']}" if name != "cranfield" else f"cranfield {record['id'][:2]}"
            body = record["text"]
            articles.setdefault(article, []).extend(body[a:b] for a, b in split_sentences(body))
    return [article[:PER_ARTICLE] for article in articles.values()]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence with its embedding and terms."""

    text: str
    embedding: Embedding
    terms: list[str]


async def embed(home: Path, articles: list[list[str]]) -> list[list[Sentence]]:
    """Every sentence, embedded."""
    embedder = await open_embedder("multilingual-e5-small", EmbedderOptions(home / "models"))
    try:
        embedded = []
        for number, article in enumerate(articles):
            vectors = await embedder.embed_passages(article)
            terms = [analyse(sentence, detect_language(sentence)) for sentence in article]
            embedded.append([Sentence(*parts) for parts in zip(article, vectors, terms, strict=True)])
            print(f"\r{number + 1}/{len(articles)} articles embedded", end="", flush=True)
        return embedded
    finally:
        await embedder.aclose()


def make_document(articles: list[list[Sentence]], number: int) -> PreparedDocument:
    """Passages of randomly drawn sentences, each passage within one article."""
    drawing = random.Random(number)
    made: list[IndexedPassage] = []
    start = 0
    for position in range(PER_DOCUMENT):
        article = drawing.choice(articles)
        drawn: list[Sentence] = []
        while sum(len(sentence.text) for sentence in drawn) < CHARACTERS:
            drawn.append(drawing.choice(article))
        body = " ".join(sentence.text for sentence in drawn)
        vector = np.mean([sentence.embedding.vector for sentence in drawn], axis=0)
        spans, vectors, offset = [], [], 0
        for sentence in drawn:
            assert sentence.embedding.tokens is not None
            spans.append(sentence.embedding.tokens.spans + offset)
            vectors.append(sentence.embedding.tokens.vectors)
            offset += len(sentence.text) + 1
        made.append(
            IndexedPassage(
                PassageDraft(position, body, "", start, start + len(body)),
                (vector / np.linalg.norm(vector)).astype(np.float32),
                encode_tokens(TokenEmbeddings(np.concatenate(vectors), np.concatenate(spans))),
                [term for sentence in drawn for term in sentence.terms],
            )
        )
        start += len(body) + 1
    name = f"document {number}"
    return PreparedDocument(name, "txt", name.encode(), name, None, Metadata(name, "und"), made)


async def build(engine: Engine, home: Path, passages: int) -> None:
    """Fill the corpus up to that many passages."""
    have = (await engine.documents.statistics()).passages
    if have >= passages:
        return
    articles = await embed(home, sentences())
    index = DocumentIndex(engine.database, engine.vectors)
    for number in range(have // PER_DOCUMENT, passages // PER_DOCUMENT):
        await index.store(await asyncio.to_thread(make_document, articles, number))
        if number % 20 == 0:
            print(f"\r{number * PER_DOCUMENT:,} passages       ", end="", flush=True)
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
        await engine.operations.clear_cache()
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
                text(f"SELECT passage_id FROM {index.table} ORDER BY (embedding <#> :vector) + 0 LIMIT 50"),
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
        await build(engine, home, options.passages)
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
    print(
        f"\n{options.passages:,} passages on {size / 1e9:.2f} GB; HNSW recall@50 against exact: {share:.4f}"
    )


async def disk(engine: Engine) -> int:
    """Bytes that the database takes."""
    async with engine.database.read() as db:
        return int((await db.execute(text("SELECT pg_database_size(current_database())"))).scalar_one())


if __name__ == "__main__":
    asyncio.run(main())
