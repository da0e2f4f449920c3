"""The confidence tells what the sources answer from what they do not."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.answering.base import AnswerRequest
from engine.answering.evidence import ANSWER_THRESHOLD, answerability, sentence_similarities
from engine.documents.jobs import Upload
from engine.documents.model import PassageDraft
from engine.retrieval.embedders.base import TokenEmbeddings

from ..conftest import OpenEngine
from .parts import ask, source

pytestmark = pytest.mark.anyio


def test_without_sources_there_is_no_confidence() -> None:
    assert answerability(AnswerRequest("Anything?", "en", ())) == 0.0


async def test_questions_on_other_subjects_are_refused_and_real_ones_answered(
    open_test_engine: OpenEngine, shared_data: Path
) -> None:
    def lines(name: str) -> list[dict[str, str]]:
        return [json.loads(line) for line in (shared_data / name).read_text(encoding="utf-8").splitlines()]

    records = lines("xquad-vi/corpus.jsonl")[:40]
    judged = dict(
        line.split("\t")[:2] for line in (shared_data / "xquad-vi/qrels.tsv").read_text().splitlines()[1:]
    )
    held = {record["id"] for record in records}
    own = [query["text"] for query in lines("xquad-vi/queries.jsonl") if judged.get(query["id"]) in held]
    draw = random.Random(5)
    own, other = draw.sample(own, 40), [q["text"] for q in draw.sample(lines("cranfield/queries.jsonl"), 40)]
    async with open_test_engine() as engine:
        await engine.ingestion.ingest_passages(
            [
                (r["id"], "", [PassageDraft(0, r["text"][:1500], "", 0, len(r["text"][:1500]))])
                for r in records
            ]
        )
        answered = [(await engine.ask(question)).confidence >= ANSWER_THRESHOLD for question in own]
        refused = [(await engine.ask(question)).confidence < ANSWER_THRESHOLD for question in other]
    assert sum(answered) >= 0.85 * len(own)
    assert sum(refused) >= 0.9 * len(other)


async def test_a_sentence_that_says_it_is_not_withheld(open_test_engine: OpenEngine) -> None:
    note = (
        b"# Travel\n\nMeals abroad are refunded up to 45 euros a day. Receipts are handed in within ten days."
    )
    async with open_test_engine() as engine:
        job = await engine.ingestion.submit([Upload("travel.md", note)])
        await engine.ingestion.wait(job.id)
        answer = await engine.ask("When are receipts handed in?")
        assert answer.kind == "quotes"
        assert "within ten days" in answer.text
        assert (await engine.ask("When was the harbour built?")).kind == "no_answer"


def _read(text: str, question: str = "What was sold in 1998?") -> AnswerRequest:
    """A request whose question and source have the same vector for every word."""

    def tokens(read: str) -> TokenEmbeddings:
        spans = [match.span() for match in re.finditer(r"\w+", read)]
        return TokenEmbeddings(np.full((len(spans), 4), 0.5, np.float32), np.array(spans, np.int32))

    return replace(
        ask(question, source(text)),
        embedder="multilingual-e5-small",
        question_tokens=tokens(question),
        source_tokens=(tokens(text),),
    )


def test_sources_without_the_questions_number_are_less_sure() -> None:
    held, lacking = (answerability(_read(f"Ships were sold in {year}.")) for year in (1998, 1999))
    assert held > lacking + 0.1
    asked = "What was sold then?"
    assert answerability(_read("Sold in 1998.", asked)) == answerability(_read("Sold in 1999.", asked))


def test_a_sentence_is_read_under_its_title() -> None:
    about, sold, other = np.eye(3, dtype=np.float32)
    question = TokenEmbeddings(np.stack([about, sold]), np.array([[0, 3], [4, 8]], np.int32))
    spans = np.array([[3, 7], [12, 16], [17, 17]], np.int32)  # the last is the title's
    read = TokenEmbeddings(np.stack([sold, other, about]), spans)
    places = [(0, 8), (9, 17)]
    assert sentence_similarities(question, read, places).tolist() == [0.5, 0.0]
    assert sentence_similarities(question, read, places, titled=True).tolist() == [1.0, 0.5]
