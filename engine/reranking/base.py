"""What a reranker is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.documents.model import Passage


class Reranker(Protocol):
    """Scores passages for a question. Safe to call from many tasks at once.

    name: registry name. depth: how many of the best candidates it is worth being given.
    scale: difference of its scores that matters; see `combine`.
    """

    name: str
    depth: int
    scale: float

    async def score(self, question: str, passages: Sequence[Passage]) -> list[float]:
        """One score a passage, in order, higher is better; any scale.

        Raises ModelUnavailable or Unavailable; never invents a score.
        """
        ...

    async def aclose(self) -> None: ...
