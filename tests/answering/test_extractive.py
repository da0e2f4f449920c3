"""Answers without a language model: quotes, verbatim, each with its citation."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.answering.base import AnswerRequest, Draft
from engine.answering.citations import resolve_citations
from engine.answering.extractive import QuotingAnswerer
from engine.retrieval.embedders.base import TokenEmbeddings
from tests.answering.parts import ENGLISH, VIETNAMESE, ask, source

pytestmark = pytest.mark.anyio


async def answer(request: AnswerRequest) -> tuple[list[str], Draft]:
    pieces = [piece async for piece in QuotingAnswerer().stream(request)]
    draft = pieces.pop()
    assert isinstance(draft, Draft)
    return [str(piece) for piece in pieces], draft


async def test_the_best_sentence_is_quoted_word_for_word() -> None:
    pieces, draft = await answer(ask("What happens to late bids?", *ENGLISH))
    assert pieces[0] == "Quoted from the documents:\n\n> Late bids are returned unopened. [1]"
    assert draft.kind == "quotes"
    assert draft.text == "".join(pieces)
    assert "Late bids are returned unopened." in [citation.quote for citation in draft.citations]


async def test_vietnamese_is_answered_with_or_without_diacritics() -> None:
    for question in ("Hồ sơ nộp muộn thì thế nào?", "ho so nop muon thi the nao"):
        pieces, draft = await answer(ask(question, *VIETNAMESE, language="vi"))
        assert pieces[0] == "Trích nguyên văn từ tài liệu:\n\n> Hồ sơ nộp muộn bị trả lại nguyên trạng. [1]"
        assert not draft.unsupported


async def test_headings_are_not_quoted() -> None:
    passage = source(
        "4.9. Late bids\nThese go back unopened; late bids are not read.", heading="4.9. Late bids"
    )
    _, draft = await answer(ask("What happens to late bids?", passage))
    assert [citation.quote for citation in draft.citations] == [
        "These go back unopened; late bids are not read."
    ]


def _meaning(*spans: tuple[int, int, int]) -> TokenEmbeddings:
    """Token vectors by hand: start, end and which meaning the token has."""
    return TokenEmbeddings(
        np.eye(8, dtype=np.float32)[[meaning for _, _, meaning in spans]],
        np.array([[start, end] for start, end, _ in spans], np.int32),
    )


async def test_a_sentence_of_the_same_meaning_is_quoted_though_it_shares_no_word() -> None:
    text = "The fee of a bid is small. Tardy offers go back unopened."
    request = replace(
        ask("What happens to a late bid?", source(text)),
        question_tokens=_meaning((0, 4, 1), (21, 25, 2)),
        source_tokens=(_meaning((4, 7, 5), (13, 16, 3), (27, 32, 1), (33, 39, 2)),),
    )
    pieces, _ = await answer(request)
    assert pieces[0] == "Quoted from the documents:\n\n> Tardy offers go back unopened. [1]"


async def test_quotes_are_few_distinct_and_best_first() -> None:
    many = [
        source(f"Bids of kind {n} stay valid for {n} days. Bids are late.", id=n) for n in (4, 5, 6, 7, 8, 9)
    ]
    pieces, draft = await answer(ask("How long do bids of kind 5 stay valid?", *many))
    assert "kind 5" in pieces[0]
    assert len(pieces) <= 3
    assert len({citation.quote for citation in draft.citations}) == len(pieces)
    numbers = [citation.number for citation in draft.citations]
    assert numbers == sorted(numbers)


async def test_the_same_sentence_of_two_versions_is_quoted_once() -> None:
    twice = (source("Late bids are returned.", id=1), source("Preface. LATE bids are returned!", id=2))
    pieces, draft = await answer(ask("What happens to late bids?", *twice))
    assert len(pieces) == len(draft.citations) == 1
    assert draft.citations[0].number == 1


async def test_a_table_row_is_shown_under_its_header() -> None:
    table = source("Gói 1 | 5 tỷ đồng\nGói 2 | 7 tỷ đồng", context="Tên gói | Giá gói thầu")
    pieces, draft = await answer(ask("Gói 2 có giá bao nhiêu?", table, language="vi"))
    assert pieces[0].endswith("> *Tên gói | Giá gói thầu*  \n> Gói 2 | 7 tỷ đồng [1]")
    assert draft.citations[0].quote == "Gói 2 | 7 tỷ đồng"


async def test_brackets_of_the_source_are_not_taken_for_citations() -> None:
    text = "Late bids are returned [2] unopened [source 9]."
    _, draft = await answer(ask("What happens to late bids?", source(text)))
    resolved = resolve_citations(draft.text, [source(text)])
    assert (resolved.text, resolved.removed) == (draft.text, 0)
    assert [(c.number, c.quote) for c in resolved.citations] == [(1, text)]


async def test_nothing_in_common_is_no_answer() -> None:
    _, draft = await answer(ask("Quarks?", *ENGLISH))
    assert (draft.kind, draft.citations) == ("no_answer", ())
    _, draft = await answer(ask("Quarks?"))
    assert draft.kind == "no_answer"


async def test_it_takes_a_few_milliseconds() -> None:
    long = [
        source(" ".join(f"Rule {n} of part {m} is kept by office {m}." for n in range(25)), id=m)
        for m in (3, 1, 2, 0, 4)
    ]
    request = ask("Which office keeps rule 7 of part 3?", *long)
    await answer(request)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        _, draft = await answer(request)
        times.append(time.perf_counter() - began)
    assert draft.citations[0].quote == "Rule 7 of part 3 is kept by office 3."
    assert min(times) < 0.1


@pytest.mark.parametrize(
    ("collection", "language", "least"), [("xquad-en", "en", 0.85), ("xquad-vi", "vi", 0.85)]
)
async def test_the_quotes_hold_the_answer(
    shared_data: Path, collection: str, language: str, least: float
) -> None:
    """Among the right paragraph and two others: words alone find 9 of 10 answers."""
    folder = shared_data / collection
    corpus = {row["id"]: row["text"] for row in _rows(folder / "corpus.jsonl")}
    judged = [line.split("\t") for line in (folder / "qrels.tsv").read_text().splitlines()[1:]]
    relevant = {query: document for query, document, _ in judged}
    others = list(corpus)
    found = asked = 0
    for n, query in enumerate(list(_rows(folder / "queries.jsonl"))[:100]):
        texts = [
            corpus[relevant[query["id"]]],
            *(corpus[others[(7 * n + m) % len(others)]] for m in range(2)),
        ]
        _, draft = await answer(ask(query["text"], *map(source, texts), language=language))
        asked += 1
        found += any(gold.lower() in draft.text.lower() for gold in query["answers"])
    assert found >= least * asked


def _rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
