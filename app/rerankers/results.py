"""What runs have measured: figures, pairs, single questions, and when to answer at all."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.bridge import Bridge
from app.messages import shown_errors
from app.rerankers.charts import at_threshold, quality_figure, risk_figure
from app.rerankers.default import confirm_default, confirm_threshold
from app.rerankers.naming import draw_rename
from app.rerankers.state import ComparisonState, Removed
from app.rerankers.verdict import CHANCE, verdict
from app.text import counted
from engine import Engine
from engine.evaluation.model import Estimate, RunReport, RunSummary

_LISTED = 200


def draw_results(bridge: Bridge, state: ComparisonState, runs: Sequence[RunSummary]) -> None:
    """Of runs over one set."""
    with shown_errors():
        ids = [run.id for run in runs]
        with st.spinner("Working out intervals…"):
            report = bridge.call(lambda engine: engine.comparison.runs.report(ids))
        if not report.questions:
            st.caption("No question is done by all of them yet.")
            return
        names = _names(report)
        _draw_figures(bridge, report, names)
        if report.judged:
            st.plotly_chart(
                quality_figure(report.arms, names), key="quality", config={"displayModeBar": False}
            )
            if report.pairs:
                _draw_pairs(report, names)
                _draw_questions(bridge, state, report, names)
        _draw_risk(bridge, report, names)
        if len(runs) == 1:
            _draw_keeping(bridge, state, runs[0])


def _draw_keeping(bridge: Bridge, state: ComparisonState, run: RunSummary) -> None:
    with st.container(horizontal=True):
        draw_rename(
            run.name, f"run-{run.id}-{state.switches}", lambda name: _rename(bridge, state, run.id, name)
        )
        if st.button("Delete this run", key="delete-run", type="tertiary", icon=":material/delete:"):
            bridge.call(lambda engine: engine.comparison.runs.delete(run.id))
            state.removed, state.run_ids = Removed("run", run.id), ()
            st.rerun()


def _rename(bridge: Bridge, state: ComparisonState, run_id: int, name: str) -> None:
    bridge.call(lambda engine: engine.comparison.runs.rename(run_id, name))
    state.switches += 1


def _names(report: RunReport) -> list[str]:
    """Of the arms; with the run's where there are several."""
    if len(report.summaries) == 1:
        return [arm.reranker for arm in report.arms]
    runs = {summary.id: summary.name for summary in report.summaries}
    return [f"{arm.reranker} ({runs[arm.run_id]})" for arm in report.arms]


def _draw_figures(bridge: Bridge, report: RunReport, names: Sequence[str]) -> None:
    told = f"{counted(report.questions, 'question')}, {report.judged:,} of them with a relevant passage."
    if report.reachable is not None:
        told += f" The search finds {report.reachable:.1%} of what is relevant; no reranker can do better."
    if len({tuple(summary.settings.items()) for summary in report.summaries}) > 1:
        told += " Documents or settings changed between these runs: what differs may come from that."
    st.caption(told)
    arms = report.arms
    st.dataframe(
        {
            "Reranker": list(names),
            "nDCG@10": [arm.ndcg and arm.ndcg.mean for arm in arms],
            "95 % interval": [_interval(arm.ndcg) for arm in arms],
            "MRR@10": [arm.mrr and arm.mrr.mean for arm in arms],
            "Recall@5": [arm.recall and arm.recall.mean for arm in arms],
            "p50 (ms)": [arm.p50_ms for arm in arms],
            "p95 (ms)": [arm.p95_ms for arm in arms],
            "US$ per 1,000": [_price(arm.cost_usd) for arm in arms],
            "Could not score": [arm.failures for arm in arms],
        },
        hide_index=True,
        key="figures",
        placeholder="–",
        column_config={
            "US$ per 1,000": st.column_config.TextColumn(
                help="At list price, for 1,000 questions; a dash: no price."
            ),
        }
        | {
            name: st.column_config.NumberColumn(format=form, help=help)
            for name, form, help in (
                ("nDCG@10", "%.4f", "Of the first ten; 1 is the best order that there is."),
                ("MRR@10", "%.4f", "One divided by the place of the first relevant passage."),
                (
                    "Recall@5",
                    "%.4f",
                    "Share of what is relevant that is among the first five.",
                ),
                ("p50 (ms)", "%.1f", "Of the reranking alone, while users were served."),
                ("p95 (ms)", "%.1f", "Of the reranking alone, while users were served."),
                (
                    "Could not score",
                    "%d",
                    "Such a question counts with the order that users would have got.",
                ),
            )
        },
    )
    if told := verdict(report, names):
        st.markdown(told)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        best = max(range(len(arms)), key=lambda n: arms[n].ndcg.mean if arms[n].ndcg else 0.0)  # type: ignore[union-attr]
        choices = list(dict.fromkeys(arm.reranker for arm in arms))
        chosen = st.selectbox(
            "Default reranker",
            choices,
            choices.index(arms[best].reranker),
            key=f"default-choice-{'-'.join(choices)}-{best}",  # offers the best as it is known now
            width=260,
        )
        if st.button("Make this the default…", key="make-default", icon=":material/flag:"):
            confirm_default(bridge, chosen, bridge.call(_serving))


def _price(cost_usd: float | None) -> str:
    """Of a thousand questions; a dash where there is no price."""
    return "–" if cost_usd is None else f"{cost_usd * 1000:.4f}"


async def _serving(engine: Engine) -> str:
    return await engine.operations.choices.reranker()


def _interval(estimate: Estimate | None) -> str:
    return f"{estimate.low:.3f} – {estimate.high:.3f}" if estimate else ""


def _draw_pairs(report: RunReport, names: Sequence[str]) -> None:
    st.subheader("Against each other")
    pairs = report.pairs
    st.dataframe(
        {
            "Pair": [f"{names[pair.a]} against {names[pair.b]}" for pair in pairs],
            "Difference of nDCG@10": [pair.difference for pair in pairs],
            "95 % interval": [f"{pair.low:+.3f} – {pair.high:+.3f}" for pair in pairs],
            "p": [pair.p_value for pair in pairs],
            "More than chance": ["yes" if pair.p_value < CHANCE else "not shown" for pair in pairs],
            "Wins": [pair.wins for pair in pairs],
            "Losses": [pair.losses for pair in pairs],
            "Ties": [pair.ties for pair in pairs],
        },
        hide_index=True,
        key="pairs",
        column_config={
            "Difference of nDCG@10": st.column_config.NumberColumn(format="%+.4f"),
            "p": st.column_config.NumberColumn(
                format="%.4f", help="Paired randomisation test, corrected for the number of pairs (Holm)."
            ),
        },
    )


def _draw_questions(bridge: Bridge, state: ComparisonState, report: RunReport, names: Sequence[str]) -> None:
    labels = [f"{names[pair.a]} against {names[pair.b]}" for pair in report.pairs]
    which = st.selectbox(
        "Question by question", range(len(labels)), format_func=lambda n: labels[n], key="pair"
    )
    pair = report.pairs[which]
    a, b = report.arms[pair.a], report.arms[pair.b]
    rows = bridge.call(
        lambda engine: engine.comparison.runs.questions(
            (a.run_id, a.reranker), (b.run_id, b.reranker), _LISTED
        )
    )
    rows = [row for row in rows if row.a != row.b]
    if not rows:
        st.caption("On every question both are equally good.")
        return
    chosen = st.dataframe(
        {
            "": ["▲" if row.a > row.b else "▼" for row in rows],
            "Question": [row.text for row in rows],
            names[pair.a]: [row.a for row in rows],
            names[pair.b] if names[pair.b] != names[pair.a] else f"{names[pair.b]} ": [row.b for row in rows],
        },
        hide_index=True,
        key=f"wins-{which}",
        height=280 if len(rows) > 6 else "auto",
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "": st.column_config.TextColumn(width=30),
            "Question": st.column_config.TextColumn(width="large"),
            names[pair.a]: st.column_config.NumberColumn(format="%.3f"),
            names[pair.b]: st.column_config.NumberColumn(format="%.3f"),
        },
    )
    differing = pair.wins + pair.losses
    told = f", {len(rows):,} of {differing:,}" if differing > len(rows) else ""
    same = a.reranker == b.reranker
    st.caption(
        f"nDCG@10, the largest difference first{told}. "
        + ("Both are the same reranker." if same else "Choose a row to see both lists side by side.")
    )
    selected = chosen.selection.rows
    if selected and selected[0] < len(rows) and not same:
        state.compare(rows[selected[0]].text, (a.reranker, b.reranker), report.summaries[0].tag)
        st.rerun()


def _draw_risk(bridge: Bridge, report: RunReport, names: Sequence[str]) -> None:
    curves = {name: arm.risk for name, arm in zip(names, report.arms, strict=True) if arm.risk}
    if not curves:
        return
    st.subheader("When to answer")
    st.caption("Some questions of this set have no answer. Below a threshold of confidence, Dossier says so.")
    in_force = bridge.call(_threshold)
    threshold = st.slider("Threshold", 0.0, 1.0, round(in_force, 3), 0.005, key="threshold", format="%.3f")
    st.plotly_chart(risk_figure(curves, threshold), key="risk", config={"displayModeBar": False})
    told = [
        f"{name}: answers {at.coverage:.1%} of the questions; {at.risk:.1%} of those have no answer."
        if (at := at_threshold(points, threshold))
        else f"{name}: answers nothing."
        for name, points in curves.items()
    ]
    st.markdown("\n".join(f"- {line}" for line in told))
    if st.button("Use this threshold…", key="use-threshold", disabled=abs(threshold - in_force) < 0.0005):
        confirm_threshold(bridge, threshold, f"It is {in_force:.3f} now.")


async def _threshold(engine: Engine) -> float:
    return await engine.operations.choices.threshold()
