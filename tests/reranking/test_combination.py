from __future__ import annotations

import numpy as np

from engine.reranking.combination import combine


def test_differences_that_matter_reorder_and_small_ones_do_not() -> None:
    fused = [1.0, 0.8, 0.1, 0.0]
    clear, vague = [0.80, 0.95, 0.78, 0.76], [0.800, 0.802, 0.799, 0.798]
    assert np.argmax(combine(fused, clear, 0.012)) == 1
    assert np.argsort(combine(fused, vague, 0.012))[::-1].tolist() == [0, 1, 2, 3]


def test_equal_fused_scores_leave_the_order_to_the_reranker() -> None:
    assert np.argsort(combine([0.5, 0.5, 0.5], [0.1, 0.3, 0.2], 1.0)).tolist() == [0, 2, 1]


def test_combined_scores_lie_between_0_and_1() -> None:
    scores = combine([0.9, 0.5, 0.2], [0.9, 0.8, 0.85], 0.02)
    assert (min(scores), max(scores)) == (0.0, 1.0)
    assert combine([], [], 1.0) == []
    assert combine([0.4], [0.7], 1.0) == [1.0]
