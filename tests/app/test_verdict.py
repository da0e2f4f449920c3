"""What the figures come to is said as far as they carry it."""

from __future__ import annotations

from app.rerankers.verdict import verdict
from engine.evaluation.model import ArmFigures, ArmPair, Estimate, RunReport


def report(p_values: dict[tuple[int, int], float], *arms: tuple[str, float, float]) -> RunReport:
    """arms: name, nDCG@10, ms; p_values: of pairs of their places."""
    figures = [
        ArmFigures(1, name, Estimate(mean, mean - 0.1, mean + 0.1), None, None, ms, ms, 0.0, 0)
        for name, mean, ms in arms
    ]
    pairs = [ArmPair(a, b, 0.0, 0.0, 0.0, p, 0, 0, 0) for (a, b), p in p_values.items()]
    return RunReport((), 50, 50, 1.0, tuple(figures), tuple(pairs))


def told(p_values: dict[tuple[int, int], float], *arms: tuple[str, float, float]) -> str:
    return verdict(report(p_values, *arms), [name for name, *_ in arms]).replace("&#45;", "-")


NONE, BUILT_IN, BGE = ("none", 0.80, 0.0), ("built-in", 0.90, 5.0), ("bge", 0.91, 900.0)


def test_one_that_beats_all_others_is_named() -> None:
    said = told({(0, 1): 0.01, (0, 2): 0.01, (1, 2): 0.04}, NONE, BUILT_IN, BGE)
    assert said.startswith("**bge**") and "better than all others" in said


def test_of_those_that_are_not_told_apart_the_fastest_is_named() -> None:
    said = told({(0, 1): 0.01, (0, 2): 0.01, (1, 2): 0.40}, NONE, BUILT_IN, BGE)
    assert "**bge** has the highest" in said and "fastest is **built-in**, with 5.0 ms" in said
    assert "none" not in said


def test_too_few_questions_recommend_nothing() -> None:
    said = told({(0, 1): 0.20, (0, 2): 0.30, (1, 2): 0.40}, NONE, BUILT_IN, BGE)
    assert "not shown to be better than none" in said and "fastest" not in said
    said = told({(0, 1): 0.20}, ("none", 0.95, 0.0), BUILT_IN)
    assert "no reranker is shown to help" in said


def test_one_reranker_alone_has_no_verdict() -> None:
    assert told({}, BUILT_IN) == ""
