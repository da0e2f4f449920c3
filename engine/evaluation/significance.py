"""What a measured difference is worth: intervals, p values, and what saying "not in here" costs.

Every draw is seeded, so that the same measurements give the same figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.evaluation.model import Estimate, RiskPoint

RESAMPLES = 20_000
_SEED = 20_07
_AT_ONCE = 1_000_000  # questions of resamples drawn at once: some 20 MB


def bootstrap_mean(values: Sequence[float]) -> Estimate:
    """Mean of at least one value with its 95 % percentile bootstrap interval.

    Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13. Raises ValueError for none.
    """
    return bootstrap_means(np.asarray(values, np.float64)[:, None])[0]


def bootstrap_means(values: NDArray[np.float64]) -> list[Estimate]:
    """The same of each column of `values` (questions, figures), all over the same resamples.

    Raises ValueError for no questions.
    """
    measured = _finite(values)
    count = len(measured)
    if not count:
        raise ValueError("There is no mean of no values.")
    draw = np.random.default_rng(_SEED)
    means: list[NDArray[np.float64]] = []
    for size in _batches(count):
        drawn = draw.integers(0, count, (size, count)) + np.arange(size)[:, None] * count
        times = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
        means.append(times.astype(np.float64) @ measured / count)
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5], axis=0)
    return [Estimate(*map(float, figures)) for figures in zip(measured.mean(axis=0), low, high, strict=True)]


def paired_p_value(a: Sequence[float], b: Sequence[float]) -> float:
    """How likely a mean difference at least this large is if `a` and `b` are worth the same: in (0, 1].

    a, b: the same questions' figures, in one order. A two-sided paired randomisation test, which
    Smucker, Allan & Carterette 2007 (A comparison of statistical significance tests for information
    retrieval evaluation) recommend. Raises ValueError for different lengths.
    """
    first, second = _finite(a), _finite(b)
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} values are no pairs.")
    return paired_p_values((first - second)[:, None])[0]


def paired_p_values(differences: NDArray[np.float64]) -> list[float]:
    """The same of each column of `differences` (questions, pairs), all with the same swaps."""
    differing = differences[(differences != 0).any(axis=1)]  # a tie is the same whichever way round
    if not len(differing):
        return [1.0] * differences.shape[1]
    observed = np.abs(differing.sum(axis=0)) - 1e-9  # sums in another order differ in the last bits
    draw = np.random.default_rng(_SEED)
    as_large = np.zeros(differences.shape[1], np.int64)
    for size in _batches(len(differing)):
        swapped = draw.integers(0, 2, (size, len(differing)), np.int8) * np.float64(2) - 1
        as_large += np.count_nonzero(np.abs(swapped @ differing) >= observed, axis=0)
    return [(int(count) + 1) / (RESAMPLES + 1) for count in as_large]  # the outcome seen is one of them


def risk_coverage(answerable: Sequence[bool], confidences: Sequence[float]) -> list[RiskPoint]:
    """What each threshold of the confidence would answer, the highest threshold first.

    answerable: whether something answers the question. One point a distinct confidence, the last
    of which answers everything; none for no questions. El-Yaniv & Wiener 2010, On the foundations
    of noise-free selective classification. Raises ValueError for different lengths.
    """
    sure = _finite(confidences)
    if len(sure) != len(answerable):
        raise ValueError(f"{len(answerable)} labels and {len(sure)} confidences are no pairs.")
    if not len(sure):
        return []
    order = np.argsort(-sure, kind="stable")
    wrong = np.cumsum(~np.asarray(answerable, bool)[order])
    ordered = sure[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))  # questions as sure go together
    return [
        RiskPoint(float(ordered[i]), (i + 1) / len(ordered), float(wrong[i]) / (i + 1)) for i in last.tolist()
    ]


def _finite(values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    measured = np.asarray(values, np.float64)
    if not np.isfinite(measured).all():
        raise ValueError("A value is not a finite number.")
    return measured


def _batches(count: int) -> Iterator[int]:
    """Sizes of batches of resamples, of so many questions each."""
    size = max(1, _AT_ONCE // count)
    for start in range(0, RESAMPLES, size):
        yield min(size, RESAMPLES - start)
