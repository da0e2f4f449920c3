"""How many more users this machine takes: an estimate, with what it stands on."""

from __future__ import annotations

import streamlit as st

from app.text import counted
from engine.observability.capacity import FULL, LEAST_QUESTIONS, QUESTIONS, estimate
from engine.observability.process import process_name
from engine.observability.series import Recorded

_PAUSE = 30


def draw_capacity(recorded: Recorded) -> None:
    """From the questions of the range that is shown."""
    st.subheader("Capacity, estimated")
    capacity = estimate(recorded, process_name().partition(":")[0])
    if capacity is None:
        asked = sum(value or 0 for value in recorded.grown(QUESTIONS))
        st.caption(
            f"An estimate needs {LEAST_QUESTIONS} questions within the time shown; there were {asked:.0f}."
        )
        return
    pause = st.number_input(
        "Seconds between a person's questions",
        min_value=1,
        max_value=3600,
        value=_PAUSE,
        key="pause",
        width=260,
    )
    now, more = capacity.users(float(pause))
    first = capacity.demands[0]
    columns = st.columns(4)
    columns[0].metric("Questions now", f"{capacity.now * 60:,.1f} a minute")
    columns[1].metric("Users now, about", f"{now:,}")
    columns[2].metric("More users, about", f"{more:,}")
    columns[3].metric("Used up first", first.resource)
    st.dataframe(
        {
            "Resource": [demand.resource for demand in capacity.demands],
            "In use": [demand.used for demand in capacity.demands],
            "For one question (ms)": [demand.milliseconds for demand in capacity.demands],
            "Takes, questions a minute": [demand.most * 60 for demand in capacity.demands],
        },
        key="capacity",
        hide_index=True,
        column_config={
            "In use": st.column_config.ProgressColumn(format="percent", min_value=0.0, max_value=1.0),
            "For one question (ms)": st.column_config.NumberColumn(format="%.1f"),
            "Takes, questions a minute": st.column_config.NumberColumn(format="%.0f"),
        },
    )
    st.caption(
        f"An estimate, from {counted(capacity.questions, 'question')} in the time shown, by the utilisation "
        f"law: what a question took of each resource, up to {FULL:.0%} of it. It assumes that the coming "
        "questions are like these, as often cached, that other programs go on as they do, and that each "
        "user asks again after the pause above. A language model's or another server's own limits are not "
        "in it. Only a load test shows what really holds."
    )
