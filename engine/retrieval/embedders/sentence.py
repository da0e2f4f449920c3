"""Texts to vectors with a BERT: tokenise, encode, average."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.inference.bert import Bert
from engine.inference.fixed_scales import Floats
from engine.retrieval.embedders.base import Embedding, TokenEmbeddings


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text as the model reads it.

    ids: int32, (n,), with the model's special tokens and prefix, cut to what it can read.
    own: bool, (n,), true for the tokens that stand for characters of the text.
    spans: int32, (own.sum(), 2), the characters that each of those stands for.
    """

    ids: NDArray[np.int32]
    own: NDArray[np.bool_]
    spans: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.ids)


class SentenceModel:
    """A text's vector is the mean of all its tokens' vectors (Reimers & Gurevych 2019), of unit length."""

    def __init__(self, tokenise: Callable[[str, bool], Tokens], bert: Bert) -> None:
        self._tokenise = tokenise
        self._bert = bert

    def prepare(self, text: str, is_query: bool) -> Tokens:
        # A lone surrogate is not text; each becomes one "?", so that offsets stay.
        return self._tokenise(text.encode("utf-8", "replace").decode("utf-8"), is_query)

    def embed(self, batch: Sequence[Tokens]) -> list[Embedding]:
        states = self._bert.hidden_states([tokens.ids for tokens in batch])
        return [
            Embedding(_unit(own.mean(axis=0)), TokenEmbeddings(_unit(own[tokens.own]), tokens.spans))
            for tokens, own in zip(batch, states, strict=True)
        ]


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
