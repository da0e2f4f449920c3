"""What a challenger makes of real questions, and what readers think of the answers."""

from __future__ import annotations

import streamlit as st

from app.bridge import Bridge
from app.messages import shown_errors
from app.text import plain
from engine import Engine


def draw_live(bridge: Bridge) -> None:
    """Agreement of challenger and champion, and the thumbs of each."""
    with shown_errors():
        challenger, share = bridge.call(_settings)
        if challenger:
            st.caption(
                f"{share:.0%} of questions are also scored by {plain(challenger)}, after they were answered. "
                "What users wait for never waits for it."
            )
        else:
            st.caption(
                "No challenger is set. With `CHALLENGER_RERANKER` and `CHALLENGER_SHARE`, a share of real "
                "questions is also scored by another reranker, after they were answered."
            )
        _draw_agreement(bridge)
        _draw_thumbs(bridge)


async def _settings(engine: Engine) -> tuple[str, float]:
    return engine.comparison.live.challenger, engine.comparison.live.share


def _draw_agreement(bridge: Bridge) -> None:
    pairs = bridge.call(lambda engine: engine.comparison.live.agreement())
    if not pairs:
        st.caption("No real question was scored by a challenger in the last 30 days.")
        return
    st.subheader("Agreement in the last 30 days")
    st.dataframe(
        {
            "Answered by": [pair.champion for pair in pairs],
            "Challenger": [pair.challenger for pair in pairs],
            "Questions": [pair.questions for pair in pairs],
            "Same first": [pair.same_first for pair in pairs],
            "Overlap@5": [pair.overlap for pair in pairs],
            "Kendall tau": [pair.kendall for pair in pairs],
            "RBO": [pair.rbo for pair in pairs],
            "Cited kept": [pair.citations_kept for pair in pairs],
            "Cited kept (👍)": [pair.citations_kept_up for pair in pairs],
            "Cited kept (👎)": [pair.citations_kept_down for pair in pairs],
            "p50 (ms)": [pair.milliseconds for pair in pairs],
            "US$ per 1,000": [pair.cost_usd and pair.cost_usd * 1000 for pair in pairs],
            "Failed": [pair.failures for pair in pairs],
            "Dropped": [pair.dropped for pair in pairs],
        },
        hide_index=True,
        key="agreement",
        placeholder="–",
        column_config={
            "Same first": st.column_config.NumberColumn(format="percent", help="The same first passage."),
            "Overlap@5": st.column_config.NumberColumn(
                format="percent", help="Passages that both have among five."
            ),
            "Kendall tau": st.column_config.NumberColumn(format="%.3f", help="Of the first ten: −1 to 1."),
            "RBO": st.column_config.NumberColumn(format="%.3f", help="Rank-biased overlap, p = 0.9: 0 to 1."),
            "p50 (ms)": st.column_config.NumberColumn(format="%.1f", help="Of the challenger."),
            "US$ per 1,000": st.column_config.NumberColumn(
                format="%.4f", help="Of the challenger, at list price, for 1,000 questions."
            ),
            "Dropped": st.column_config.NumberColumn(help="Not scored, because users were busy asking."),
            **{
                name: st.column_config.NumberColumn(
                    format="percent", help="Cited passages that the challenger too has among its first five."
                )
                for name in ("Cited kept", "Cited kept (👍)", "Cited kept (👎)")
            },
        },
    )


def _draw_thumbs(bridge: Bridge) -> None:
    thumbs = bridge.call(lambda engine: engine.comparison.live.thumbs())
    if not thumbs:
        return
    st.subheader("Thumbs in the last 30 days")
    voted = [arm.up + arm.down for arm in thumbs]
    st.dataframe(
        {
            "Answered by": [arm.reranker for arm in thumbs],
            "Answers": [arm.answers for arm in thumbs],
            "👍": [arm.up for arm in thumbs],
            "👎": [arm.down for arm in thumbs],
            "Share 👍": [arm.up / n if n else None for arm, n in zip(thumbs, voted, strict=True)],
        },
        hide_index=True,
        key="thumbs",
        placeholder="–",
        column_config={"Share 👍": st.column_config.NumberColumn(format="percent")},
    )
