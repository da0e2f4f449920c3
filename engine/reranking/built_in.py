"""The built-in reranker: late interaction over the embedder's token vectors.

Khattab & Zaharia 2020 (ColBERT): each of the question's tokens looks for its nearest token in
the passage. Passages were encoded when they were ingested, so no model runs for them here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from engine.documents.model import Passage
from engine.errors import ModelUnavailable
from engine.reranking.base import RerankerState, Scores
from engine.reranking.late_interaction import late_interaction_scores
from engine.reranking.tokens import PassageTokens
from engine.retrieval.embedders.base import Embedding
from engine.text.languages import is_undiacritic_vietnamese

_UNREADABLE = 1 / 8
_SCALE = 0.012  # 0.010 to 0.013 measured alike


class LateInteractionReranker:
    """A Reranker; needs an embedder that gives token vectors."""

    name = "built-in"
    depth = 30  # 50 measured alike

    def __init__(self, embed_question: Callable[[str], Awaitable[Embedding]], tokens: PassageTokens) -> None:
        self._embed_question = embed_question
        self._tokens = tokens

    async def score(self, question: str, passages: Sequence[Passage]) -> Scores:
        """Similarity of the question's tokens to their nearest in each passage, in [-1, 1].

        Of Vietnamese without its marks, which the embedder hardly understands, an eighth of it.
        """
        if not passages:
            return Scores((), _SCALE, self.name)
        embedding = await self._embed_question(question)
        if embedding.tokens is None:
            raise ModelUnavailable("The embedder gives no token vectors.")
        stored = await self._tokens.load(passages)
        weights = await self._tokens.question_weights(question, embedding.tokens)
        scores = await asyncio.to_thread(late_interaction_scores, embedding.tokens, stored, weights)
        trust = _UNREADABLE if is_undiacritic_vietnamese(question) else 1.0
        return Scores(tuple(trust * float(score) for score in scores), _SCALE, self.name)

    def state(self) -> RerankerState:
        """Always ready: it has no model of its own."""
        return RerankerState()

    async def aclose(self) -> None:
        """Holds nothing."""
