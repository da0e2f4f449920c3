"""The vector search loses no neighbour to a filter."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.documents.index import DocumentIndex, IndexedPassage, PreparedDocument
from engine.documents.model import DocumentFilter, Metadata, PassageDraft
from engine.engine import Engine
from engine.retrieval import vector as vector_search
from engine.retrieval.scope import resolve_scope

from ..conftest import OpenEngine

pytestmark = pytest.mark.anyio

DOCUMENTS, PER_DOCUMENT = 60, 40


def vectors(seed: int, count: int) -> NDArray[np.float32]:
    drawn = np.random.default_rng(seed).normal(size=(count, 384)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@pytest.fixture(scope="module")
async def corpus(open_test_engine: OpenEngine) -> AsyncIterator[Engine]:
    async with open_test_engine() as engine:
        index = DocumentIndex(engine.database, engine.vectors)
        for number in range(DOCUMENTS):
            passages = [
                IndexedPassage(
                    PassageDraft(i, f"passage {i}", "", 10 * i, 10 * i + 9), vector, None, [f"t{i}"]
                )
                for i, vector in enumerate(vectors(number, PER_DOCUMENT))
            ]
            language = "vi" if number % 10 == 0 else "en"
            metadata = Metadata(f"document {number}", language, tags=("rare",) if number == 7 else ())
            name = f"document {number}"
            await index.store(PreparedDocument(name, "txt", name.encode(), name, None, metadata, passages))
        yield engine


async def recall(engine: Engine, filter: DocumentFilter, limit: int = 30) -> float:
    """Share of the true nearest neighbours, among the documents allowed, that the search finds."""
    async with engine.database.read() as db:
        scope = await resolve_scope(db, filter)
        everything = {}
        shares = []
        for question in vectors(999, 10):
            if not everything:
                everything = await engine.vectors.similarities(db, question, await _allowed(engine, filter))
            exact = await engine.vectors.similarities(db, question, list(everything))
            nearest = sorted(exact, key=lambda i: -exact[i])[:limit]
            found = await engine.vectors.search(db, question, scope, limit)
            assert list(found.values()) == sorted(found.values(), reverse=True)
            shares.append(len(set(nearest) & found.keys()) / len(nearest))
    return float(np.mean(shares))


async def _allowed(engine: Engine, filter: DocumentFilter) -> list[int]:
    from engine.documents.queries import DocumentQuery

    listed = await engine.documents.list(DocumentQuery(filter, limit=1000))
    ids: list[int] = []
    for document in listed.rows:
        ids += [passage.id for passage in await engine.documents.passages(document.id, limit=1000)]
    return ids


FILTERS = [
    DocumentFilter(),
    DocumentFilter(tags=("rare",)),
    DocumentFilter(languages=("vi",)),
    DocumentFilter(languages=("en",)),
    DocumentFilter(document_ids=(1, 2, 3)),
]


@pytest.mark.parametrize("filter", FILTERS, ids=["none", "one document", "a tenth", "nine tenths", "three"])
async def test_a_small_scope_is_searched_exactly(corpus: Engine, filter: DocumentFilter) -> None:
    assert await recall(corpus, filter) >= (0.97 if filter else 0.9)


@pytest.mark.parametrize("filter", FILTERS[1:4], ids=["one document", "a tenth", "nine tenths"])
async def test_a_filter_on_the_graph_is_searched_on_until_there_are_enough(
    corpus: Engine, filter: DocumentFilter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_search, "EXACT_BELOW", 0)
    assert await recall(corpus, filter) >= 0.9


async def test_deleted_documents_take_no_places_in_the_result(open_test_engine: OpenEngine) -> None:
    async with open_test_engine() as engine:
        index = DocumentIndex(engine.database, engine.vectors)
        for number in range(3):
            passages = [
                IndexedPassage(PassageDraft(i, f"p {i}", "", 5 * i, 5 * i + 4), vector, None, [f"t{i}"])
                for i, vector in enumerate(vectors(number, 200))
            ]
            name = f"document {number}"
            await index.store(
                PreparedDocument(name, "txt", name.encode(), name, None, Metadata(name, "en"), passages)
            )
        await engine.documents.delete([1, 2])
        assert await recall(engine, DocumentFilter(), limit=100) >= 0.97
