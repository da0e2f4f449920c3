"""What an embedder is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class TokenVectors(Protocol):
    """A text's token vectors, packed or not. spans: int32, (tokens, 2), as of TokenEmbeddings."""

    @property
    def spans(self) -> NDArray[np.int32]: ...

    def __len__(self) -> int: ...

    def similar(self, question: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosine of each token with each of the question's, (q, dimension): (tokens, q)."""

    def centre(self) -> NDArray[np.float32]:
        """The mean vector, (dimension,); of no tokens, nothing: (0,)."""


@dataclass(frozen=True, slots=True)
class TokenEmbeddings:
    """Contextual vectors of a text's tokens, for late interaction.

    vectors: float32, (tokens, token dimension), each of unit length.
    spans: int32, (tokens, 2), start and end of each token as characters of the text.
    """

    vectors: NDArray[np.float32]
    spans: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.vectors)

    def similar(self, question: NDArray[np.float32]) -> NDArray[np.float32]:
        """See TokenVectors."""
        found: NDArray[np.float32] = self.vectors @ question.T
        return found

    def centre(self) -> NDArray[np.float32]:
        """See TokenVectors."""
        mean: NDArray[np.float32] = self.vectors.mean(axis=0) if len(self) else np.zeros(0, np.float32)
        return mean


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
