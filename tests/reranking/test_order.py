"""What becomes of candidates when a reranker scores all of them, some, or none usably."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from engine.documents.model import Passage
from engine.reranking.base import RerankerState, Scores
from engine.retrieval.retriever import Reranked, rerank

from ..answering.parts import source


class _Scripted:
    name, depth = "scripted", 4

    def __init__(self, *values: float | None) -> None:
        self._values = values

    async def score(self, question: str, passages: Sequence[Passage]) -> Scores:
        return Scores(self._values[: len(passages)], 0.01, self.name)

    def state(self) -> RerankerState:
        return RerankerState()

    async def aclose(self) -> None: ...


async def _order(*values: float | None) -> tuple[Reranked, list[int]]:
    fused = (0.9, 0.7, 0.5, 0.3, 0.1)
    found = [replace(source(f"Passage {n}.", id=n), fused=f, score=f) for n, f in enumerate(fused)]
    reranked = await rerank("Which?", found, _Scripted(*values))
    by_score = sorted(reranked.candidates, key=lambda c: -c.score)
    assert list(reranked.candidates) == by_score, "the order is that of the scores"
    return reranked, [c.passage.id for c in by_score]


@pytest.mark.anyio
async def test_the_best_are_ordered_anew_and_the_rest_follows() -> None:
    _, order = await _order(0.1, 0.9, 0.2, 0.3)
    assert order[0] == 1
    assert order[-1] == 4


@pytest.mark.anyio
async def test_what_got_no_score_keeps_its_place() -> None:
    reranked, order = await _order(None, 0.1, None, 0.9)
    assert order == [0, 3, 2, 1, 4]
    assert [c.reranked for c in reranked.candidates[:4]] == [None, 0.9, None, 0.1]


@pytest.mark.anyio
async def test_without_any_score_the_retrieval_stands() -> None:
    _, order = await _order(None, None, None, None)
    assert order == [0, 1, 2, 3, 4]


@pytest.mark.anyio
async def test_a_score_that_is_no_number_counts_as_none_and_is_told() -> None:
    reranked, order = await _order(math.nan, 0.1, math.inf, 0.9)
    assert order == [0, 3, 2, 1, 4]
    assert reranked.scores.notice == "2 of 4 passages got no usable score from scripted."
