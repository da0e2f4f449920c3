"""One order from two: the retrieval's scores and a reranker's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Support:
    """How much passages speak for each other: what answers a question lies among its like.

    likeness: (passages, passages), rows summing to 1, nothing on the diagonal.
    weight: what one standard deviation of the neighbours' scores adds.
    Diaz 2005, Regularizing ad hoc retrieval scores.
    """

    likeness: NDArray[np.float32]
    weight: float


def added(
    fused: Sequence[float], reranked: Sequence[float], scale: float, support: Support | None = None
) -> NDArray[np.float64]:
    """Standardised fused scores and the reranker's, added: in deviations of the fused ones.

    scale: difference of two of the reranker's scores that counts as much as one deviation of
        the fused ones. As it is the same for every question, a reranker that hardly tells the
        candidates apart hardly moves them.
    """
    before = np.asarray(fused, np.float64)
    if not len(before):
        return before
    deviation = float(before.std()) or 1.0
    total: NDArray[np.float64] = before / deviation + np.asarray(reranked, np.float64) / scale
    if support is not None:
        lent = support.likeness @ (total - total.mean())
        total = total + support.weight * (lent - lent.mean()) / (float(lent.std()) or 1.0)
    return total


def scaled(totals: NDArray[np.float64]) -> list[float]:
    """The best 1, the worst 0."""
    if not len(totals):
        return []
    span = float(totals.max() - totals.min())
    return [float(v) for v in ((totals - totals.min()) / span if span > 0 else np.ones_like(totals))]


def combine(
    fused: Sequence[float], reranked: Sequence[float], scale: float, support: Support | None = None
) -> list[float]:
    """Final scores of candidates, in [0, 1]; see `added`."""
    return scaled(added(fused, reranked, scale, support))
