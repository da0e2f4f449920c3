"""What was measured, as charts that follow it, and what this machine could take."""

from __future__ import annotations

from datetime import UTC

import streamlit as st

from app.bridge import Bridge
from app.messages import shown_errors
from app.operations.capacity import draw_capacity
from app.operations.charts import chosen
from engine.observability.history import WINDOWS
from engine.observability.series import Recorded

DEFAULT = "1 h"
ALL = "All processes"
_QUIET = {"displayModeBar": False, "responsive": True}
_SLOWEST_REFRESH = 120  # seconds


def draw_live(bridge: Bridge) -> None:
    """A range, and what happened in it; only the charts are drawn anew."""
    range_ = st.segmented_control(
        "Time range", [*WINDOWS], default=DEFAULT, required=True, key="range", label_visibility="collapsed"
    )
    step = WINDOWS[range_ or DEFAULT].step
    st.fragment(_draw, run_every=min(step, _SLOWEST_REFRESH))(bridge, range_ or DEFAULT)


def _draw(bridge: Bridge, range_: str) -> None:
    with shown_errors():
        recorded = bridge.call(lambda engine: engine.measured(range_))
        if recorded.notice:
            st.warning(recorded.notice)
        if not recorded.processes:
            st.caption("Nothing was recorded in this time. The first figures come after some ten seconds.")
            return
        shown = _of_one(recorded)
        charts = [*chosen(shown).items()]
        for first in range(0, len(charts), 2):
            for column, (key, chart) in zip(st.columns(2), charts[first : first + 2], strict=False):
                figure = chart(shown)
                column.plotly_chart(figure, key=f"chart-{key}", config=_QUIET)
        until = recorded.until().astimezone(UTC)
        st.caption(
            f"Measured until {until:%H:%M:%S} UTC, in steps of {_step(range_)}; all times are UTC. "
            "Peaks are the highest of looks a second apart."
        )
        draw_capacity(recorded)


def _of_one(recorded: Recorded) -> Recorded:
    """The process that is chosen, where there are several."""
    if len(recorded.processes) < 2:
        return recorded
    choice = st.selectbox("Process", [ALL, *recorded.processes], key="process", width=320)
    return recorded if choice == ALL else recorded.of(choice)


def _step(range_: str) -> str:
    seconds = WINDOWS[range_].step
    return (
        f"{seconds} s"
        if seconds < 60
        else f"{seconds // 60} min"
        if seconds < 3600
        else f"{seconds // 3600} h"
    )
