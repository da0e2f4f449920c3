"""What the figures of runs come to, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from app.text import counted, plain
from engine.evaluation.model import RunReport

CHANCE = 0.05  # the largest p at which rerankers are told apart


def verdict(report: RunReport, names: Sequence[str]) -> str:
    """Markdown: which reranker the figures speak for. Empty where there are no two to choose from.

    Level with the one of the highest nDCG@10 is whichever the paired test does not tell from it.
    """
    means = {n: arm.ndcg.mean for n, arm in enumerate(report.arms) if arm.ndcg}
    if len(means) < 2:
        return ""
    best = max(means, key=lambda n: means[n])
    told_apart = [pair for pair in report.pairs if pair.p_value < CHANCE and best in (pair.a, pair.b)]
    worse = {pair.a + pair.b - best for pair in told_apart}
    level = [n for n in means if n != best and n not in worse]
    called = {n: f"**{plain(names[n])}**" for n in means}
    told = f"{called[best]} has the highest nDCG@10"
    if not level:
        rest = "the other one" if len(means) == 2 else "all others"
        return f"{told}, and is better than {rest} by more than chance."
    judged = counted(report.judged, "judged question")
    if report.arms[best].reranker == "none":
        return f"{told}: with {judged} no reranker is shown to help. More questions can tell more."
    if any(report.arms[n].reranker == "none" for n in level):
        return f"{told}; with {judged} it is not shown to be better than none. More questions can tell more."
    fastest = min((best, *level), key=lambda n: report.arms[n].p50_ms)
    *others, last = (called[n] for n in level)
    also = f"{', '.join(others)} and {last}" if others else last
    how = f"the fastest is {called[fastest]}, with {report.arms[fastest].p50_ms:,.1f} ms at the median"
    return f"{told}; {also} {'is' if len(level) == 1 else 'are'} not shown to be worse. Of these {how}."
