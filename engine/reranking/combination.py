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


def combine(
    fused: Sequence[float], reranked: Sequence[float], scale: float, support: Support | None = None
) -> list[float]:
    """Final scores of candidates, in [0, 1]: standardised fused scores and the reranker's, added.

    scale: difference of two of the reranker's scores that counts as much as one deviation of
        the fused ones. As it is the same for every question, a reranker that hardly tells the
        candidates apart hardly moves them.
    """
    if not fused:
        return []
    before = np.asarray(fused, np.float64)
    deviation = float(before.std()) or 1.0
    total = before / deviation + np.asarray(reranked, np.float64) / scale
    if support is not None:
        lent = support.likeness @ (total - total.mean())
        total = total + support.weight * (lent - lent.mean()) / (float(lent.std()) or 1.0)
    span = float(total.max() - total.min())
    scaled = (total - total.min()) / span if span > 0 else np.ones_like(total)
    return [float(score) for score in scaled]
