"""The slowest questions of late, and where their time went."""

from __future__ import annotations

import streamlit as st

from app.bridge import Bridge
from app.messages import shown_errors
from app.text import plain, short
from engine import Engine
from engine.observability.traces import RecordedTrace

_SHOWN = 20


@st.fragment(run_every=10)
def draw_questions(bridge: Bridge) -> None:
    """One row a question; choosing one shows its spans."""
    with shown_errors():
        traces = bridge.call(_slowest)
        if not traces:
            st.caption("No question was asked since this process began.")
            return
        chosen = st.dataframe(
            {
                "Asked (UTC)": [trace.started for trace in traces],
                "Question": [trace.question for trace in traces],
                "Took (ms)": [trace.total_ms for trace in traces],
                "Answer": [trace.error or trace.kind for trace in traces],
                "Waited for a connection (ms)": [trace.pool_wait_ms for trace in traces],
                "Caches": [", ".join(f"{what}: {hit}" for what, hit in t.cache.items()) for t in traces],
            },
            key="slow-questions",
            hide_index=True,
            on_select="rerun",
            selection_mode="single-row",
            column_config={
                "Asked (UTC)": st.column_config.DatetimeColumn(format="HH:mm:ss", timezone="UTC"),
                "Question": st.column_config.TextColumn(width="large"),
                "Took (ms)": st.column_config.NumberColumn(format="%.1f"),
                "Waited for a connection (ms)": st.column_config.NumberColumn(format="%.1f"),
            },
        )
        rows = chosen.selection.rows
        if rows and rows[0] < len(traces):
            _draw_spans(traces[rows[0]])
        else:
            st.caption("Choose a row to see where its time went.")


async def _slowest(engine: Engine) -> list[RecordedTrace]:
    return engine.traces.recent(slowest_first=True, limit=_SHOWN)


def _draw_spans(trace: RecordedTrace) -> None:
    st.markdown(f"**{plain(short(trace.question, 120))}** · trace `{trace.trace_id}`")
    st.dataframe(
        {
            "Span": [f"{'   ' * span.depth}{span.name}" for span in trace.spans],
            "Begins (ms)": [span.start_ms for span in trace.spans],
            "Takes (ms)": [span.duration_ms for span in trace.spans],
            "About": [
                ", ".join(f"{name}={value}" for name, value in s.attributes.items()) for s in trace.spans
            ],
        },
        key="spans",
        hide_index=True,
        column_config={
            "Span": st.column_config.TextColumn(width="medium"),
            "Begins (ms)": st.column_config.NumberColumn(format="%.2f"),
            "Takes (ms)": st.column_config.NumberColumn(format="%.2f"),
            "About": st.column_config.TextColumn(width="large"),
        },
    )
    if trace.dropped:
        st.caption(f"{trace.dropped} more spans were not kept.")
