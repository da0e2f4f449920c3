"""The lexical search is BM25, of the documents as they are now."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import bm25s
import numpy as np
import pytest

from engine.documents.model import DocumentFilter, PassageDraft
from engine.engine import Engine
from engine.retrieval import lexical
from engine.retrieval.scope import resolve_scope
from engine.text.analysis import analyse, analyse_question

from ..conftest import OpenEngine

pytestmark = pytest.mark.anyio

TEXTS = {
    "guarantee": "Bảo đảm dự thầu có giá trị từ 1% đến 3% giá gói thầu.",
    "validity": "Thời hạn hiệu lực của hồ sơ dự thầu là 180 ngày.",
    "english": "The bid security is between one and three percent of the package price.",
    "law": "Luật số 57/2024/QH15 sửa đổi Luật Đấu thầu số 22/2023/QH15.",
}


@pytest.fixture(scope="module")
async def corpus(open_test_engine: OpenEngine) -> AsyncIterator[Engine]:
    async with open_test_engine() as engine:
        await engine.ingestion.ingest_passages([(name, "", _whole(text)) for name, text in TEXTS.items()])
        yield engine


def _whole(text: str) -> list[PassageDraft]:
    return [PassageDraft(0, text, "", 0, len(text))]


async def best(engine: Engine, question: str) -> str:
    return (await engine.search(question, pipeline="bm25"))[0].passage.text


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("bảo đảm dự thầu là bao nhiêu phần trăm", "guarantee"),
        ("bao dam du thau la bao nhieu phan tram", "guarantee"),  # typed without diacritics
        ("thoi han hieu luc cua ho so du thau", "validity"),
        ("securities for bidding packages", "english"),
        ("57/2024/QH15", "law"),
    ],
)
async def test_words_find_their_passage(corpus: Engine, question: str, expected: str) -> None:
    assert await best(corpus, question) == TEXTS[expected]


async def test_scores_are_those_of_a_reference_library(
    open_test_engine: OpenEngine, shared_data: Path
) -> None:
    """Every score of bm25s, with the same analysis, on real paragraphs."""
    records = [
        json.loads(line) for line in (shared_data / "xquad-vi/corpus.jsonl").read_text().splitlines()[:40]
    ]
    queries = [
        json.loads(line)["text"]
        for line in (shared_data / "xquad-vi/queries.jsonl").read_text().splitlines()[:40]
    ]
    async with open_test_engine() as engine:
        await engine.ingestion.ingest_passages(
            [(record["id"], "", _whole(record["text"])) for record in records]
        )
        texts = {}
        for query in queries:
            for candidate in await engine.search(query, k=1000, pipeline="bm25"):
                texts[candidate.passage.id] = candidate.passage.text
        ids = list(texts)
        reference = bm25s.BM25(k1=lexical.K1, b=lexical.B, method="lucene")
        reference.index([analyse(text, "vi") for text in texts.values()], show_progress=False)
        for query in queries:
            terms = analyse_question(query)
            expected = reference.get_scores(list(terms.terms)) * (lexical.K1 + 1)
            ours = {c.passage.id: c.lexical for c in await engine.search(query, k=1000, pipeline="bm25")}
            np.testing.assert_allclose([ours.get(i, 0.0) for i in ids], expected, rtol=1e-4, atol=1e-4)


async def test_a_word_that_the_index_lacks_counts_in_what_the_words_are_worth(corpus: Engine) -> None:
    async with corpus.database.read() as db:
        scope = await resolve_scope(db, DocumentFilter())
        known = await lexical.weigh(db, analyse_question("package price"), scope)
        more = await lexical.weigh(db, analyse_question("package price zebra"), scope)
    assert known.worth == pytest.approx(sum(known.idf))
    assert more.idf == known.idf
    assert more.worth > known.worth + max(known.idf)


async def test_frequent_terms_beyond_the_budget_only_complete_the_scores(
    corpus: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = "thời hạn hiệu lực của hồ sơ dự thầu"
    await corpus.operations.clear_cache()
    whole = [(c.passage.id, c.lexical) for c in await corpus.search(question, pipeline="bm25")]
    monkeypatch.setattr(lexical, "POSTINGS_BUDGET", 1)
    await corpus.operations.clear_cache()
    bounded = [(c.passage.id, c.lexical) for c in await corpus.search(question, pipeline="bm25")]
    assert bounded == whole[: len(bounded)]
    assert bounded


async def test_replacing_and_deleting_leave_the_counts_exact(open_test_engine: OpenEngine) -> None:
    async with open_test_engine(delete_grace_seconds=0) as engine:
        await engine.ingestion.ingest_passages(
            [("a", "", _whole("alpha beta")), ("b", "", _whole("beta gamma"))]
        )
        await engine.ingestion.ingest_passages([("a", "", _whole("alpha delta delta"))])
        assert await _counts(engine) == {"alpha": 1, "beta": 1, "gamma": 1, "delta": 1, "*": (2, 5)}
        found = await engine.search("beta", pipeline="bm25")
        await engine.documents.delete([found[0].passage.document_id])
        assert await engine.search("beta", pipeline="bm25") == []
        assert await engine.purge() == 1
        assert await _counts(engine) == {"alpha": 1, "delta": 1, "*": (1, 3)}


async def _counts(engine: Engine) -> dict[str, object]:
    from sqlalchemy import text

    async with engine.database.read() as db:
        rows = await db.execute(text("SELECT term, passage_count FROM terms WHERE passage_count > 0"))
        counts: dict[str, object] = {term: count for term, count in rows}
        totals = (await db.execute(text("SELECT passage_count, term_count FROM corpus"))).one()
    return counts | {"*": tuple(totals)}
