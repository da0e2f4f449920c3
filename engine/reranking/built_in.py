"""The built-in reranker: late interaction over the embedder's token vectors, and the numbers that both name.

Khattab & Zaharia 2020 (ColBERT): each of the question's tokens looks for its nearest token in
the passage. Passages were encoded when they were ingested, so no model runs for them here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from engine.documents.model import Passage
from engine.errors import ModelUnavailable
from engine.reranking.base import RerankerState, Scores
from engine.reranking.combination import Support
from engine.reranking.late_interaction import late_interaction_scores, likeness
from engine.reranking.local import LocalReranker
from engine.reranking.near_ties import LANGUAGE
from engine.reranking.numbers import numbers_held
from engine.reranking.tokens import PassageTokens
from engine.retrieval.embedders.base import Embedding
from engine.retrieval.neutral import gap
from engine.text.languages import detect_language, is_undiacritic_vietnamese

_UNREADABLE = 1 / 8
# Scale, numbers and support: what a conditional logit (McFadden 1974) learns on test collections,
# one family of them left out at a time, rounded. Each lies on a plateau of the measured quality: 0.006 to
# 0.01, 0.01 to 0.03, 0.1 to 0.25, 12 to 16, 0.3 to 0.5; but cranfield loses 0.005 to 0.0085 with a scale
# of 0.006 or a support of 0.3.
_SCALE = 0.0075
_NUMBERS = 0.02
_PAIRS = 0.15
_LONG = 14  # tokens
_SUPPORT = 0.45


class LateInteractionReranker:
    """A Reranker; needs an embedder that gives token vectors."""

    name = "built-in"
    depth = 30  # 20 and 50 measured alike, but 0.005 lower on cranfield

    def __init__(
        self,
        embed_question: Callable[[str], Awaitable[Embedding]],
        tokens: PassageTokens,
        second: LocalReranker | None = None,
    ) -> None:
        """second: for near ties of short questions in its language; closed with this."""
        self._embed_question = embed_question
        self._tokens = tokens
        self.second = second

    async def score(self, question: str, passages: Sequence[Passage]) -> Scores:
        """Similarity of the question's tokens to their nearest in each passage, in [-1.02, 1].

        Less for a long question; of Vietnamese without its marks, which the embedder hardly
        understands, an eighth of it. A passage without the question's numbers has 0.02 less, one in
        another language than the question LANGUAGE_GAP more.
        """
        if not passages:
            return Scores((), _SCALE, self.name)
        embedding = await self._embed_question(question)
        tokens = embedding.tokens
        if tokens is None:
            raise ModelUnavailable("The embedder gives no token vectors.")
        stored = await self._tokens.load(passages)
        weights = await self._tokens.question_weights(question, tokens)
        scores, alike, held = await asyncio.to_thread(
            lambda: (
                late_interaction_scores(tokens, stored, weights, pairs=_PAIRS),
                likeness(stored),
                numbers_held(question, passages),
            )
        )
        # A longer question describes a subject more than it asks for a fact: single words count
        # less there, and passages on the same subject speak for each other more.
        brevity = min(1.0, _LONG / max(1, len(tokens)))
        trust = brevity * (_UNREADABLE if is_undiacritic_vietnamese(question) else 1.0)
        language = detect_language(question)
        gaps = np.array([gap(language, passage.language) for passage in passages])
        values = tuple((trust * (scores + gaps) - _NUMBERS * (1 - held)).tolist())
        again = self.second if brevity == 1 and language == LANGUAGE else None
        return Scores(values, _SCALE, self.name, support=Support(alike, _SUPPORT / brevity), second=again)

    def state(self) -> RerankerState:
        """Always ready: it needs no model of its own."""
        return RerankerState()

    async def aclose(self) -> None:
        """Give the second one's model back."""
        if self.second is not None:
            await self.second.aclose()
