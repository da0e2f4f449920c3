"""A nearly equal question may be served from an earlier one, and the answer says so."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest

from engine.caching.semantic import SemanticCache, least_similarity
from engine.documents.jobs import Upload
from engine.engine import Engine
from engine.retrieval.embedders.base import Embedding, TokenEmbeddings

from ..conftest import OpenEngine

pytestmark = pytest.mark.anyio


@pytest.fixture
async def engine(open_test_engine: OpenEngine) -> AsyncIterator[Engine]:
    note = b"# Rules\n\nThe society was founded by Ada Reyes.\n\n# Dates\n\nThe society was founded in 1921."
    async with open_test_engine(enable_semantic_cache=True) as engine:
        job = await engine.ingestion.submit([Upload("society.md", note)])
        await engine.ingestion.wait(job.id)
        yield engine


async def test_the_same_question_with_another_end_is_served_and_said_so(engine: Engine) -> None:
    first = await engine.ask("When was the society founded?")
    again = await engine.ask("When was the society founded ??")
    assert again.text == first.text
    assert "When was the society founded?" in again.notice
    assert again.receipt.cache["retrieval"] == "L1"


async def test_a_question_that_asks_for_something_else_is_not(engine: Engine) -> None:
    await engine.ask("When was the society founded?")
    other = await engine.ask("Who founded the society?")
    assert other.receipt.cache["retrieval"] == "miss"
    assert not other.notice


async def test_a_changed_document_is_not_answered_from_before(engine: Engine) -> None:
    await engine.ask("When was the society founded?")
    job = await engine.ingestion.submit([Upload("society.md", b"The society was founded in 1935.")])
    await engine.ingestion.wait(job.id)
    again = await engine.ask("When was the society founded ??")
    assert "1935" in again.text
    assert not again.notice


def embedding(*meanings: int) -> Embedding:
    vectors = np.eye(8, dtype=np.float32)[list(meanings)]
    whole = vectors.mean(axis=0)
    spans = np.array([[0, 8]] * len(meanings), np.int32)
    return Embedding(whole / np.linalg.norm(whole), TokenEmbeddings(vectors, spans))


def test_one_token_without_a_twin_makes_another_question() -> None:
    one, other = (np.eye(4, dtype=np.float32)[places] for places in ([0, 1, 2], [0, 1, 3]))
    assert least_similarity(one, other) == 0
    assert least_similarity(one, one) == 1


def test_only_so_many_questions_are_remembered() -> None:
    cache = SemanticCache(questions=3)
    for n in range(5):
        assert cache.find(f"scope {n % 2}", f"question {n}", embedding(n)) is None
    assert cache.find("scope 0", "question 0 again", embedding(0)) is None
    assert cache.find("scope 0", "question 4 again", embedding(4)) == "question 4"
