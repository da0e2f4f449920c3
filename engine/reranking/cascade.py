"""A cheap reranker over many passages, a strong one over the best few of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from engine.documents.model import Passage
from engine.errors import BadInput, Unavailable
from engine.reranking.base import BUILT_IN, Reranker, RerankerState, Scores
from engine.reranking.combination import combine
from engine.reranking.local import LocalReranker, own_model

NAME = "cascade"
DEPTH = 30


class Cascade:
    """A Reranker; its two are opened and closed by whoever gives them.

    find: another reranker by its name, None where there is none. depth_strong: passages that the
    strong one reads. Raises BadInput where the strong one cannot be one.
    """

    name = NAME
    depth = DEPTH

    def __init__(self, find: Callable[[str], Reranker | None], strong: str, depth_strong: int) -> None:
        if strong in (NAME, BUILT_IN, "none"):
            raise BadInput(f"The cascade's strong reranker cannot be “{strong}”.", hint="Set CASCADE_STRONG.")
        self._find = find
        self._strong = strong
        self._depth = depth_strong

    async def score(self, question: str, passages: Sequence[Passage]) -> Scores:
        """Both rerankers' scores, each over its scale, added.

        A passage that the strong one did not read counts there as the least of those that it did.
        Where the strong one fails, the cheap one's order stands and the notice says why.
        """
        cheap = await self._cheap(question, passages)
        strong = self._find(self._strong)
        best = _best(cheap, len(passages))[: self._depth]
        if strong is None or not best:
            return cheap
        try:
            judged = await strong.score(question, [passages[i] for i in best])
        except Unavailable as error:
            return _with_notice(cheap, error.message)
        if judged.served_by == cheap.served_by:  # it stood in for the strong one: its say is said
            return _with_notice(cheap, judged.notice)
        told = {i: v / judged.scale for i, v in zip(best, judged.values, strict=True) if v is not None}
        least = min(told.values(), default=0.0)
        values = tuple(
            None if value is None else value / cheap.scale + told.get(i, least)
            for i, value in enumerate(cheap.values)
        )
        return replace(judged, values=values, scale=1.0, served_by=self.name, support=cheap.support)

    @property
    def second(self) -> LocalReranker | None:
        """The strong one, if it has a model of its own."""
        return own_model(self._find(self._strong))

    def state(self) -> RerankerState:
        """That of the strong one."""
        strong = self._find(self._strong)
        return strong.state() if strong else RerankerState("failed", f"There is no reranker {self._strong}.")

    async def aclose(self) -> None:
        """Holds nothing."""

    async def _cheap(self, question: str, passages: Sequence[Passage]) -> Scores:
        cheap = self._find(BUILT_IN)
        if cheap is None:  # this embedder gives no token vectors: the search's order stands
            return Scores((0.0,) * len(passages), 1.0, "none")
        return await cheap.score(question, passages)


def _best(cheap: Scores, count: int) -> list[int]:
    """Places, best first: by the cheap scores and the order in which the search gave them."""
    scored = [i for i in range(count) if cheap.values[i] is not None]
    if not scored:
        return list(range(count))
    before = -np.log1p(np.arange(count, dtype=np.float64))  # most of what a search tells is in its first few
    values = [v for v in cheap.values if v is not None]
    support = cheap.support if len(scored) == count else None
    combined = combine([float(before[i]) for i in scored], values, cheap.scale, support)
    return [scored[n] for n in np.argsort(combined)[::-1]]


def _with_notice(scores: Scores, notice: str) -> Scores:
    return replace(scores, notice=" ".join(filter(None, (notice, scores.notice))))
