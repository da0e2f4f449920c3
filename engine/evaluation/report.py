"""What the results of runs say: means with intervals, pairs with p values, wins and losses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row

from engine.evaluation.model import (
    ArmFigures,
    ArmPair,
    Estimate,
    RiskPoint,
    RunReport,
    RunSummary,
)
from engine.evaluation.significance import bootstrap_means, paired_p_values, risk_coverage

Arm = tuple[int, str]  # a run's id and one of its rerankers
Results = Sequence[Row[Any]]
_MEANS = ("ndcg", "mrr", "recall")


def make_report(summaries: Sequence[RunSummary], results: Results) -> RunReport:
    """Over the questions that every reranker of every run has had; takes a moment."""
    arms = [(summary.id, name) for summary in summaries for name in summary.rerankers]
    by_arm = {arm: _of(results, arm) for arm in arms}
    common = sorted(set.intersection(*(set(of) for of in by_arm.values())))
    judged = [question for question in common if all(by_arm[a][question].ndcg is not None for a in arms)]
    of_first = [by_arm[arms[0]][question].reachable for question in judged]
    # All figures over the same resamples: the intervals of differences are those of pairs.
    columns = [(arm, name) for name in _MEANS for arm in arms]
    values = np.array(
        [[getattr(by_arm[arm][question], name) for arm, name in columns] for question in judged], np.float64
    ).reshape(len(judged), len(columns))
    pairs = [*combinations(range(len(arms)), 2)]
    differences = np.stack([values[:, a] - values[:, b] for a, b in pairs], 1) if pairs else values[:, :0]
    estimates = bootstrap_means(np.hstack([values, differences])) if judged else []
    means = dict(zip(columns, estimates, strict=False))
    return RunReport(
        summaries=tuple(summaries),
        questions=len(common),
        judged=len(judged),
        reachable=float(np.mean(of_first)) if of_first else None,
        arms=tuple(
            _figures(arm, by_arm[arm], common, [means.get((arm, name)) for name in _MEANS]) for arm in arms
        ),
        pairs=tuple(_pairs(pairs, differences, estimates[len(columns) :])),
    )


def _risk(rows: Results) -> tuple[RiskPoint, ...]:
    """Risk against coverage; none where the set has no unanswerable questions, or only such."""
    if len({row.answerable for row in rows}) != 2:
        return ()
    points = risk_coverage([row.answerable for row in rows], [row.confidence for row in rows])
    # The last of each thousandth: nothing is lost to a threshold of three decimals, and a chart stays small.
    return tuple({math.floor(round(point.threshold * 1000, 6)): point for point in points}.values())


def _of(results: Results, arm: Arm) -> dict[int, Row[Any]]:
    return {row.question_id: row for row in results if (row.run_id, row.reranker) == arm}


def _figures(
    arm: Arm, rows: Mapping[int, Row[Any]], common: Sequence[int], means: Sequence[Estimate | None]
) -> ArmFigures:
    ndcg, mrr, recall = means
    milliseconds = [rows[question].milliseconds for question in common]
    costs = [rows[question].cost_usd for question in common if not rows[question].error]
    known = [cost for cost in costs if cost is not None]
    return ArmFigures(
        run_id=arm[0],
        reranker=arm[1],
        ndcg=ndcg,
        mrr=mrr,
        recall=recall,
        p50_ms=float(np.percentile(milliseconds, 50)) if milliseconds else 0.0,
        p95_ms=float(np.percentile(milliseconds, 95)) if milliseconds else 0.0,
        cost_usd=sum(known) / len(known) if known and len(known) == len(costs) else None,
        failures=sum(bool(rows[question].error) for question in common),
        risk=_risk([*rows.values()]),
    )


def _pairs(
    pairs: Sequence[tuple[int, int]], differences: NDArray[np.float64], estimates: Sequence[Estimate]
) -> list[ArmPair]:
    """differences: of nDCG@10, (judged questions, pairs)."""
    if not len(differences):
        return []
    return [
        ArmPair(
            a=a,
            b=b,
            difference=estimate.mean,
            low=estimate.low,
            high=estimate.high,
            p_value=p_value,
            wins=int((column > 0).sum()),
            losses=int((column < 0).sum()),
            ties=int((column == 0).sum()),
        )
        for (a, b), column, estimate, p_value in zip(
            pairs, differences.T, estimates, holm(paired_p_values(differences)), strict=True
        )
    ]


def holm(values: Sequence[float]) -> list[float]:
    """p values of several comparisons, corrected together (Holm 1979), in their order."""
    corrected = [0.0] * len(values)
    least = 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        least = max(least, min(1.0, (len(values) - rank) * values[place]))
        corrected[place] = least
    return corrected
