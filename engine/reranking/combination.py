"""One order from two: the retrieval's scores and a reranker's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def combine(fused: Sequence[float], reranked: Sequence[float], scale: float) -> list[float]:
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
    span = float(total.max() - total.min())
    scaled = (total - total.min()) / span if span > 0 else np.ones_like(total)
    return [float(score) for score in scaled]
