"""What the results of runs say: means with intervals, pairs with p values, wins and losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from sqlalchemy import Row

from engine.evaluation.model import (
    ArmFigures,
    ArmPair,
    Estimate,
    PerQuestion,
    RiskPoint,
    RunReport,
    RunSummary,
)
from engine.evaluation.significance import bootstrap_mean, paired_p_value, risk_coverage

Arm = tuple[int, str]  # a run's id and one of its rerankers
Results = Sequence[Row[Any]]


def make_report(summaries: Sequence[RunSummary], results: Results) -> RunReport:
    """Over the questions that every reranker of every run has had; takes a moment."""
    arms = [(summary.id, name) for summary in summaries for name in summary.rerankers]
    by_arm = {arm: _of(results, arm) for arm in arms}
    common = sorted(set.intersection(*(set(of) for of in by_arm.values())))
    judged = [question for question in common if all(by_arm[a][question].ndcg is not None for a in arms)]
    of_first = [by_arm[arms[0]][question].reachable for question in judged]
    return RunReport(
        summaries=tuple(summaries),
        questions=len(common),
        judged=len(judged),
        reachable=float(np.mean(of_first)) if of_first else None,
        arms=tuple(_figures(arm, by_arm[arm], common, judged) for arm in arms),
        pairs=tuple(_pairs(arms, by_arm, judged)),
    )


def per_question(results: Results, a: Arm, b: Arm) -> list[PerQuestion]:
    """Judged questions that both have had, the largest difference first."""
    first, second = _of(results, a), _of(results, b)
    found = [
        PerQuestion(question, row.text, row.ndcg, second[question].ndcg)
        for question, row in first.items()
        if question in second and row.ndcg is not None and second[question].ndcg is not None
    ]
    return sorted(found, key=lambda both: (-abs(both.a - both.b), both.question_id))


def risk_of(results: Results, arm: Arm) -> list[RiskPoint]:
    """Risk against coverage; none where the set has no unanswerable questions, or only such."""
    rows = [*_of(results, arm).values()]
    if len({row.answerable for row in rows}) != 2:
        return []
    return risk_coverage([row.answerable for row in rows], [row.confidence for row in rows])


def _of(results: Results, arm: Arm) -> dict[int, Row[Any]]:
    return {row.question_id: row for row in results if (row.run_id, row.reranker) == arm}


def _figures(
    arm: Arm, rows: Mapping[int, Row[Any]], common: Sequence[int], judged: Sequence[int]
) -> ArmFigures:
    def mean(name: str) -> Estimate | None:
        return bootstrap_mean([getattr(rows[question], name) for question in judged]) if judged else None

    milliseconds = [rows[question].milliseconds for question in common]
    costs = [rows[question].cost_usd for question in common if not rows[question].error]
    known = [cost for cost in costs if cost is not None]
    return ArmFigures(
        run_id=arm[0],
        reranker=arm[1],
        ndcg=mean("ndcg"),
        mrr=mean("mrr"),
        recall=mean("recall"),
        p50_ms=float(np.percentile(milliseconds, 50)) if milliseconds else 0.0,
        p95_ms=float(np.percentile(milliseconds, 95)) if milliseconds else 0.0,
        cost_usd=sum(known) / len(known) if known and len(known) == len(costs) else None,
        failures=sum(bool(rows[question].error) for question in common),
    )


def _pairs(
    arms: Sequence[Arm], by_arm: Mapping[Arm, Mapping[int, Row[Any]]], judged: Sequence[int]
) -> list[ArmPair]:
    if not judged:
        return []
    ndcg = [np.array([by_arm[arm][question].ndcg for question in judged]) for arm in arms]
    pairs = [*combinations(range(len(arms)), 2)]
    values = [paired_p_value(ndcg[a].tolist(), ndcg[b].tolist()) for a, b in pairs]
    return [
        ArmPair(
            a=a,
            b=b,
            difference=float((ndcg[a] - ndcg[b]).mean()),
            p_value=p_value,
            wins=int((ndcg[a] > ndcg[b]).sum()),
            losses=int((ndcg[a] < ndcg[b]).sum()),
            ties=int((ndcg[a] == ndcg[b]).sum()),
        )
        for (a, b), p_value in zip(pairs, holm(values), strict=True)
    ]


def holm(values: Sequence[float]) -> list[float]:
    """p values of several comparisons, corrected together (Holm 1979), in their order."""
    corrected = [0.0] * len(values)
    least = 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        least = max(least, min(1.0, (len(values) - rank) * values[place]))
        corrected[place] = least
    return corrected
