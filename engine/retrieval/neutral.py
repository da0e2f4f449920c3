"""Vectors freed of what the language alone does to them.

A multilingual embedder puts texts of one language closer together than texts of one meaning: where documents
are in several, a question finds those in its own first, whatever they say. The direction in which the
same passages lie apart in two languages is taken out of the question's vector (Yang et al. 2021, A
Simple and Effective Method To Eliminate the Self Language Bias in Multilingual Representations); the
stored vectors stay as they are.
"""

from __future__ import annotations

import asyncio

import numpy as np
from numpy.typing import NDArray

from engine.retrieval.embedders.base import Embedder
from engine.retrieval.parallel_texts import PARALLEL
from engine.text.languages import differ

Vector = NDArray[np.float32]

# What late interaction loses on average where a passage is in another language than the question: chosen
# on documents of which half, a sixth or one are in the other; 0.03 measured nearly alike.
LANGUAGE_GAP = 0.04


def gap(question: str, passage: str) -> float:
    """What to add to late interaction between texts in these languages."""
    return LANGUAGE_GAP if differ(question, passage) else 0.0


class LanguageNeutral:
    """Finds an embedder's direction at the first need, and keeps it."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._direction: Vector | None = None
        self._finding = asyncio.Lock()

    @staticmethod
    def applies(language: str, languages: frozenset[str]) -> bool:
        """Whether some of these languages of documents are others than the question's."""
        return language in PARALLEL and bool((languages & PARALLEL.keys()) - {language})

    async def freed(self, vector: Vector) -> Vector:
        """The vector, (dimension,), without the direction, of unit length again.

        Raises ModelUnavailable or Unavailable.
        """
        direction = await self._found()
        return _unit(vector - (vector @ direction) * direction)

    async def _found(self) -> Vector:
        async with self._finding:
            if self._direction is None:
                self._direction = await self._find()
            return self._direction

    async def _find(self) -> Vector:
        one, other = [
            np.mean([e.vector for e in await self._embedder.embed_passages(texts)], axis=0)
            for texts in PARALLEL.values()
        ]
        return _unit(one - other)


def _unit(vector: Vector) -> Vector:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)
