"""The built-in reranker over the real embedder and passages as they were stored."""

from __future__ import annotations

import pytest

from engine.documents.model import PassageDraft

from ..conftest import OpenEngine

pytestmark = pytest.mark.anyio

_TEXTS = [
    "In 1998 the yard sold four ships to Norway.",
    "In 1997 the yard sold four ships to Norway.",
    "Bread is baked at five in the morning.",
]


async def test_what_was_asked_comes_first_down_to_its_number(open_test_engine: OpenEngine) -> None:
    async with open_test_engine() as engine:
        await engine.ingestion.ingest_passages(
            [(f"d{n}", "", [PassageDraft(0, text, "", 0, len(text))]) for n, text in enumerate(_TEXTS)]
        )
        found = await engine.search("How many ships were sold in 1998?", pipeline="hybrid")
        passages = {c.passage.text: c.passage for c in found}
        given = [passages[text] for text in _TEXTS]
        scores = await engine.rerank("How many ships were sold in 1998?", given, reranker="built-in")
        right, wrong_year, other = scores.values
        assert right is not None
        assert wrong_year is not None
        assert other is not None
        assert right - wrong_year > 0.02, "the number counts beside the words around it"
        assert wrong_year > other
        assert scores.served_by == "built-in"
        nothing = await engine.rerank("How many ships were sold?", [], reranker="built-in")
        assert nothing.values == ()
