"""Searching while documents change."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.documents.jobs import Upload
from engine.documents.model import Passage
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
