"""A reranker that never fails: while it cannot serve, a cheaper one does, and the answer says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from engine.documents.model import Passage
from engine.errors import Unavailable
from engine.reranking.base import Reranker, RerankerState, Scores


class StandIn:
    """A Reranker that is `inner`, or where that is loading, failed or overloaded, another one.

    instead: finds the other one; None where there is none, then `inner`'s error is raised.
    """

    def __init__(self, inner: Reranker, instead: Callable[[], Reranker | None]) -> None:
        self.inner = inner
        self.name = inner.name
        self._instead = instead

    @property
    def depth(self) -> int:
        """That of whichever serves now."""
        instead = self._instead()
        if instead is None or self.inner.state().status == "ready":
            return self.inner.depth
        return instead.depth

    async def score(self, question: str, passages: Sequence[Passage]) -> Scores:
        """See Reranker; `served_by` tells which one it was, the notice why."""
        try:
            return await self.inner.score(question, passages)
        except Unavailable as error:
            instead = self._instead()
            if instead is None:
                raise
            scores = await instead.score(question, passages)
            notice = f"{error.message} Ordered by {instead.name} instead."
            # It is to be cheap: no second model for near ties.
            return replace(scores, notice=f"{notice} {scores.notice}".strip(), second=None)

    def state(self) -> RerankerState:
        """Of `inner`, and who serves meanwhile."""
        state = self.inner.state()
        instead = self._instead()
        if state.status == "ready" or instead is None:
            return state
        return replace(state, served_by=instead.name)

    async def aclose(self) -> None:
        """Close `inner`; the other one is closed by whoever opened it."""
        await self.inner.aclose()
