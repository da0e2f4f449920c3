"""Searching while documents change."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.documents.jobs import Upload
from engine.documents.model import Passage, PassageDraft
from tests.conftest import OpenEngine

pytestmark = pytest.mark.anyio


async def test_a_document_indexed_anew_during_a_search_is_found(
    open_test_engine: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_test_engine() as engine:

        async def take_in(text: str) -> None:
            job = await engine.ingestion.submit([Upload("gate.md", text.encode())])
            await engine.ingestion.wait(job.id)

        await take_in("# Gate\n\nThe gate 4711 closes at nine.\n")
        load, loads = engine.documents.load_passages, 0

        async def load_late(db: AsyncConnection, ids: Sequence[int]) -> dict[int, Passage]:
            nonlocal loads
            loads += 1
            if loads == 1:
                await take_in("# Gate\n\nThe gate 4711 closes at ten.\n")
            return await load(db, ids)

        monkeypatch.setattr(engine.documents, "load_passages", load_late)
        found = await engine.search("gate 4711", pipeline="bm25")
        assert [candidate.passage.text for candidate in found] == ["Gate\nThe gate 4711 closes at ten."]
        assert loads == 2
        await engine.search("another question", pipeline="bm25")
        assert loads == 3  # nothing is searched again where nothing has changed


async def test_a_chance_hit_of_a_question_in_another_language_does_not_decide(
    open_test_engine: OpenEngine,
) -> None:
    texts = (
        "The river flooded the old town after three days of rain.",
        "The school received 1990 books from the ministry.",
        "The library lends a book for four weeks.",
        "The market sells fruit and fish every morning.",
        "The team won the match by two goals.",
        "The factory makes engines for trucks.",
        "The hospital treats patients with heart disease.",
        "The museum shows paintings of the last century.",
        "The bridge was closed for repairs in spring.",
        "The university teaches law and medicine.",
        "The farmer grows rice and keeps pigs.",
        "The singer released her first album in May.",
    )
    question = "Vì sao dòng sông làm ngập khu phố cổ và mưa kéo dài bao nhiêu ngày vào năm 1990?"
    async with open_test_engine() as engine:
        await engine.ingestion.ingest_passages(
            [(f"{n}", "", [PassageDraft(0, text, "", 0, len(text))]) for n, text in enumerate(texts)]
        )
        by_words = await engine.search(question, pipeline="bm25")
        assert [candidate.passage.text for candidate in by_words] == [texts[1]]
        found = await engine.search(question, pipeline="hybrid")
        assert found[0].passage.text == texts[0]
