"""Token vectors of passages: stored ones, or made now where there are none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from itertools import islice

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from engine.access.principal import OPEN, Access
from engine.documents.model import DocumentFilter, Passage
from engine.documents.preface import preface
from engine.reranking.late_interaction import gather_tokens, interaction_units, token_weights
from engine.reranking.packed_tokens import PackedTokens, decode_tokens, encode_tokens
from engine.retrieval.embedders.base import Embedder, TokenEmbeddings
from engine.retrieval.lexical import met_rarity, rarity
from engine.retrieval.scope import resolve_scope
from engine.retrieval.vector import VectorIndex
from engine.storage.database import Database
from engine.text.analysis import analyse_question

log = logging.getLogger(__name__)

KEPT_BYTES = 96_000_000  # some 1,200 passages: users ask for the same ones again and again


async def token_vectors(texts: Sequence[tuple[str, str]], embedder: Embedder) -> list[TokenEmbeddings]:
    """One vector a word of each preface and text; the embedder must give tokens.

    texts: prefaces (see `preface`) and the texts themselves, whose sentences are embedded apart.
    Spans of a preface's words are empty, at the end of the text: they belong to no sentence.
    """
    prefaces = list(dict.fromkeys(before for before, _ in texts if before))
    wholes = [*prefaces, *(text for _, text in texts)]
    units = [interaction_units(whole) for whole in wholes]
    parts = [whole[a:b] for whole, own in zip(wholes, units, strict=True) for a, b in own]
    embedded = iter([e.tokens for e in await embedder.embed_passages(parts) if e.tokens is not None])

    def gather() -> list[TokenEmbeddings]:
        gathered = [
            gather_tokens(whole, own, list(islice(embedded, len(own))))
            for whole, own in zip(wholes, units, strict=True)
        ]
        before = dict(zip(prefaces, gathered, strict=False))
        own_tokens = gathered[len(prefaces) :]
        return [
            _behind(tokens, before[told], len(text)) if told else tokens
            for (told, text), tokens in zip(texts, own_tokens, strict=True)
        ]

    return await asyncio.to_thread(gather)


def _behind(tokens: TokenEmbeddings, before: TokenEmbeddings, end: int) -> TokenEmbeddings:
    if not len(before.vectors):
        return tokens
    if not len(tokens.vectors):
        return TokenEmbeddings(before.vectors, np.full_like(before.spans, end))
    return TokenEmbeddings(
        np.concatenate([tokens.vectors, before.vectors]),
        np.concatenate([tokens.spans, np.full_like(before.spans, end)]),
    )


class PassageTokens:
    """Reads the token vectors that ingestion stored."""

    def __init__(
        self, database: Database, vectors: VectorIndex, embedder: Embedder, access: Access = OPEN
    ) -> None:
        self._access = access
        self._database = database
        self._vectors = vectors
        self._embedder = embedder
        self._recent: LRUCache[tuple[int, str], PackedTokens] = LRUCache(KEPT_BYTES, lambda kept: kept.nbytes)

    async def question_weights(self, question: str, tokens: TokenEmbeddings) -> NDArray[np.float32]:
        """What each token of a question counts, by how rare its word is in the corpus: (tokens,).

        Raises DatabaseUnavailable.
        """
        asked = analyse_question(question)
        if (rare := met_rarity(asked)) is None:
            async with self._database.read() as db:
                scope = await resolve_scope(db, DocumentFilter(), self._access)
                rare = await rarity(db, asked, scope)
        return token_weights(question, tokens.spans, rare)

    async def load(self, passages: Sequence[Passage]) -> list[PackedTokens]:
        """Token vectors in the passages' order. Raises DatabaseUnavailable or ModelUnavailable."""
        known = {p.id: self._recent.get((p.id, p.content_hash)) for p in passages}
        if wanted := [p.id for p in passages if known[p.id] is None]:
            stored = await self._vectors.tokens(self._database, wanted)
            known |= await asyncio.to_thread(
                lambda: {passage_id: _read(packed) for passage_id, packed in stored.items()}
            )
        if absent := [p for p in passages if known[p.id] is None]:
            texts = [(preface(p.text, p.heading, p.context, p.document_title), p.text) for p in absent]
            made = await token_vectors(texts, self._embedder)
            known |= {
                p.id: decode_tokens(encode_tokens(tokens)) for p, tokens in zip(absent, made, strict=True)
            }
        found: list[PackedTokens] = []
        for passage in passages:
            tokens = known[passage.id]
            assert tokens is not None, "only used with an embedder that gives token vectors"
            self._recent[(passage.id, passage.content_hash)] = tokens
            found.append(tokens)
        return found


def _read(packed: bytes) -> PackedTokens | None:
    """None for what another version packed, or what is damaged: it is computed anew."""
    try:
        return decode_tokens(packed)
    except ValueError as error:
        log.warning("%s They are computed anew; index the document again to have them stored.", error)
        return None
