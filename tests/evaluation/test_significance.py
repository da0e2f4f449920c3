from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from engine.evaluation.model import Estimate, RiskPoint
from engine.evaluation.significance import bootstrap_mean, paired_p_value, risk_coverage


def _figures(seed: int = 1, count: int = 200, gain: float = 0.0) -> tuple[list[float], list[float]]:
    """nDCG as it lies: most questions at 1, some below, and a second list that differs in few."""
    draw = np.random.default_rng(seed)
    a = np.where(draw.random(count) < 0.8, 1.0, draw.random(count))
    b = np.clip(np.where(draw.random(count) < 0.7, a, a + draw.normal(gain, 0.2, count)), 0, 1)
    return a.tolist(), b.tolist()


@pytest.mark.parametrize("gain", [0.0, 0.05, 0.1])
def test_the_p_value_is_that_of_scipys_permutation_test(gain: float) -> None:
    a, b = _figures(gain=gain)
    expected = stats.permutation_test(
        (a, b),
        lambda x, y, axis: np.mean(x, axis=axis) - np.mean(y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=20_000,
        rng=np.random.default_rng(5),
    ).pvalue
    assert paired_p_value(a, b) == pytest.approx(expected, abs=0.012)
    assert paired_p_value(b, a) == pytest.approx(paired_p_value(a, b), abs=0.012)


def test_few_pairs_have_the_p_value_of_all_their_outcomes() -> None:
    assert paired_p_value([1, 1, 1, 1], [0, 0, 0, 0]) == pytest.approx(2 / 16, abs=0.01)


def test_lists_that_do_not_differ_tell_nothing() -> None:
    assert paired_p_value([0.4, 1.0], [0.4, 1.0]) == 1.0
    assert paired_p_value([], []) == 1.0
    assert paired_p_value([0.1 + 0.2, 0.0], [0.0, 0.3]) == 1.0


def test_the_interval_is_that_of_scipys_bootstrap() -> None:
    values, _ = _figures()
    told = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(5)
    ).confidence_interval
    estimate = bootstrap_mean(values)
    assert estimate.mean == pytest.approx(np.mean(values))
    assert (estimate.low, estimate.high) == pytest.approx((told.low, told.high), abs=0.003)
    assert bootstrap_mean(values) == estimate


def test_the_mean_of_one_value_is_that_value() -> None:
    assert bootstrap_mean([0.25]) == Estimate(0.25, 0.25, 0.25)


def test_each_threshold_tells_what_it_answers_and_how_much_of_that_has_no_answer() -> None:
    points = risk_coverage([True, False, True, False], [0.9, 0.5, 0.5, 0.1])
    assert points == [RiskPoint(0.9, 0.25, 0.0), RiskPoint(0.5, 0.75, 1 / 3), RiskPoint(0.1, 1.0, 0.5)]
    assert risk_coverage([], []) == []


def test_what_is_no_measurement_is_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        bootstrap_mean([])
    with pytest.raises(ValueError, match="finite"):
        bootstrap_mean([1.0, float("nan")])
    with pytest.raises(ValueError, match="no pairs"):
        paired_p_value([1.0], [1.0, 0.0])
    with pytest.raises(ValueError, match="no pairs"):
        risk_coverage([True], [])
