"""Serving a question as an earlier one that is nearly the same. Off unless asked for.

Two questions are nearly the same where every token of either has a near twin in the other. The
least of these similarities tells "When was it founded?" from "Who founded it?", which the
questions' vectors do not: among 4,277 real questions of four collections, each compared with its
nearest of the same collection, vectors would have served 14 of 1,000 wrongly at a cosine of
0.995; this served none at the threshold (`python -m benchmarks.semantic`).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.retrieval.embedders.base import Embedding

THRESHOLD = 0.985
_NEAREST = 3  # by cosine, that are looked at closely
_LEAST_COSINE = 0.95


@dataclass(frozen=True, slots=True)
class _Asked:
    question: str
    vector: NDArray[np.float32]
    words: NDArray[np.float32]


class SemanticCache:
    """Remembers the latest questions of each scope; the cache itself holds their results.

    A scope stands for everything but the question that a result depends on.
    """

    def __init__(self, *, questions: int, threshold: float = THRESHOLD) -> None:
        self._most = questions
        self._threshold = threshold
        self._scopes: OrderedDict[str, OrderedDict[str, _Asked]] = OrderedDict()
        self.hits = 0

    def find(self, scope: str, question: str, embedding: Embedding) -> str | None:
        """An earlier question that is nearly this one; None remembers this one instead."""
        asked = self._scopes.setdefault(scope, OrderedDict())
        self._scopes.move_to_end(scope)
        if question in asked:
            asked.move_to_end(question)
            return None
        words = word_vectors(question, embedding)
        if (earlier := self._nearest([*asked.values()], embedding.vector, words)) is not None:
            self.hits += 1
            return earlier
        asked[question] = _Asked(question, embedding.vector, words)
        while sum(map(len, self._scopes.values())) > self._most:
            oldest = next(iter(self._scopes.values()))
            if oldest:
                oldest.popitem(last=False)
            if not oldest:
                self._scopes.popitem(last=False)
        return None

    def _nearest(
        self, asked: list[_Asked], vector: NDArray[np.float32], words: NDArray[np.float32]
    ) -> str | None:
        if not asked:
            return None
        cosines = np.array([one.vector for one in asked]) @ vector
        for place in map(int, np.argsort(-cosines)[:_NEAREST]):
            if cosines[place] < _LEAST_COSINE:
                return None
            if least_similarity(asked[place].words, words) >= self._threshold:
                return asked[place].question
        return None


def word_vectors(question: str, embedding: Embedding) -> NDArray[np.float32]:
    """Token vectors of a question's words, without its punctuation: (tokens, dimension)."""
    tokens = embedding.tokens
    if tokens is None:
        return np.zeros((0, 0), np.float32)
    worded = [any(c.isalnum() for c in question[start:end]) for start, end in tokens.spans.tolist()]
    vectors: NDArray[np.float32] = tokens.vectors[np.array(worded, bool)]
    return vectors


def least_similarity(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Similarity to its twin of the token, of either text, that has the least similar one; 0 without any."""
    if not len(one) or not len(other):
        return 0.0
    similar = one @ other.T
    return float(min(similar.max(axis=0).min(), similar.max(axis=1).min()))
