"""What an embedder is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TokenEmbeddings:
    """Contextual vectors of a text's tokens, for late interaction.

    vectors: float32, (tokens, token dimension), each of unit length.
    spans: int32, (tokens, 2), start and end of each token as characters of the text.
    """

    vectors: NDArray[np.float32]
    spans: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Embedding:
    """A text as one vector and, where the embedder gives them, its tokens' vectors.

    vector: float32, (dimension,), unit length.
    """

    vector: NDArray[np.float32]
    tokens: TokenEmbeddings | None = None


class Embedder(Protocol):
    """Turns text into vectors. Safe to call from many tasks at once; never blocks the loop.

    name: registry name; stored vectors belong to it.
    dimension: length of `Embedding.vector`.
    token_dimension: width of `TokenEmbeddings.vectors`, 0 if the embedder gives none.
    """

    name: str
    dimension: int
    token_dimension: int

    async def embed_query(self, text: str) -> Embedding:
        """Embed a question. Raises ModelUnavailable or Unavailable."""
        ...

    async def embed_passages(self, texts: Sequence[str]) -> list[Embedding]:
        """Embed passages, in order. Raises ModelUnavailable or Unavailable."""
        ...

    async def aclose(self) -> None: ...
