"""Rerankers: which one is best, on one question, over question sets, and on what users ask."""

from __future__ import annotations

import streamlit as st

from app.bridge import get_bridge
from app.operations.actions import draw_told
from app.rerankers.default import draw_default
from app.rerankers.live import draw_live
from app.rerankers.one_question import draw_one_question
from app.rerankers.runs import draw_runs
from app.rerankers.sets import draw_sets
from app.rerankers.state import VIEWS
from app.state import tab_state

bridge, state = get_bridge(), tab_state().comparison
st.html("<h1>Rerankers</h1>")
draw_told()
draw_default(bridge)
state.view = (
    st.segmented_control(
        "View",
        VIEWS,
        default=state.view,
        key=f"view-{state.switches}",
        label_visibility="collapsed",
        required=True,
    )
    or state.view
)
if state.view == VIEWS[0]:
    draw_one_question(bridge, state)
elif state.view == VIEWS[1]:
    draw_sets(bridge, state)
elif state.view == VIEWS[2]:
    draw_runs(bridge, state)
else:
    draw_live(bridge)
