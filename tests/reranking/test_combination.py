from __future__ import annotations

import numpy as np

from engine.reranking.combination import Support, combine


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


def test_passages_among_their_like_are_lifted() -> None:
    fused, told = [1.0, 0.6, 0.6, 0.0], [0.5, 0.5, 0.5, 0.5]
    alike = np.zeros((4, 4), np.float32)
    alike[0, 2] = alike[2, 0] = 1.0  # the third is like the first, the second like none
    without = combine(fused, told, 0.01)
    lifted = combine(fused, told, 0.01, Support(alike, 0.3))
    assert without[1] == without[2]
    assert lifted[2] > lifted[1]
    assert np.argmax(lifted) == 0


def test_support_of_a_single_passage_is_no_error() -> None:
    assert combine([0.4], [0.7], 1.0, Support(np.zeros((1, 1), np.float32), 0.3)) == [1.0]
