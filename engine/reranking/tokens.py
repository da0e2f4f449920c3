"""Token vectors of passages: stored ones, or made now where there are none."""

from __future__ import annotations

from collections.abc import Sequence

from cachetools import LRUCache

from engine.documents.model import Passage
from engine.reranking.late_interaction import decode_tokens
from engine.retrieval.embedders.base import Embedder, TokenEmbeddings
from engine.retrieval.vector import VectorIndex
from engine.storage.database import Database

KEPT = 256  # passages; the same few serve the reranker and then the answer


class PassageTokens:
    """Reads the token vectors that ingestion stored."""

    def __init__(self, database: Database, vectors: VectorIndex, embedder: Embedder) -> None:
        self._database = database
        self._vectors = vectors
        self._embedder = embedder
        self._recent: LRUCache[tuple[int, str], TokenEmbeddings] = LRUCache(KEPT)

    async def load(self, passages: Sequence[Passage]) -> list[TokenEmbeddings]:
        """Token vectors in the passages' order. Raises DatabaseUnavailable or ModelUnavailable."""
        known = {p.id: self._recent.get((p.id, p.content_hash)) for p in passages}
        if wanted := [p.id for p in passages if known[p.id] is None]:
            async with self._database.read() as db:
                known |= {i: decode_tokens(packed) for i, packed in (await self._vectors.tokens(db, wanted)).items()}
        if absent := [p for p in passages if known[p.id] is None]:
            made = await self._embedder.embed_passages([p.text for p in absent])
            known |= {p.id: embedding.tokens for p, embedding in zip(absent, made, strict=True)}
        found: list[TokenEmbeddings] = []
        for passage in passages:
            tokens = known[passage.id]
            assert tokens is not None, "only used with an embedder that gives token vectors"
            self._recent[(passage.id, passage.content_hash)] = tokens
            found.append(tokens)
        return found
