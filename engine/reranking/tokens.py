"""Token vectors of passages: stored ones, or made now where there are none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice

from cachetools import LRUCache

from engine.documents.model import Passage
from engine.reranking.late_interaction import decode_tokens, gather_tokens, interaction_units
from engine.retrieval.embedders.base import Embedder, TokenEmbeddings
from engine.retrieval.vector import VectorIndex
from engine.storage.database import Database

KEPT = 256  # passages; the same few serve the reranker and then the answer


async def token_vectors(texts: Sequence[str], embedder: Embedder) -> list[TokenEmbeddings]:
    """One vector a word of each text, its sentences embedded apart; the embedder must give tokens."""
    units = [interaction_units(text) for text in texts]
    parts = [text[a:b] for text, own in zip(texts, units, strict=True) for a, b in own]
    embedded = iter([e.tokens for e in await embedder.embed_passages(parts) if e.tokens is not None])

    def gather() -> list[TokenEmbeddings]:
        return [
            gather_tokens(text, own, list(islice(embedded, len(own))))
            for text, own in zip(texts, units, strict=True)
        ]

    return await asyncio.to_thread(gather)


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
                known |= {
                    i: decode_tokens(packed) for i, packed in (await self._vectors.tokens(db, wanted)).items()
                }
        if absent := [p for p in passages if known[p.id] is None]:
            made = await token_vectors([p.text for p in absent], self._embedder)
            known |= {p.id: tokens for p, tokens in zip(absent, made, strict=True)}
        found: list[TokenEmbeddings] = []
        for passage in passages:
            tokens = known[passage.id]
            assert tokens is not None, "only used with an embedder that gives token vectors"
            self._recent[(passage.id, passage.content_hash)] = tokens
            found.append(tokens)
        return found
