"""Operations: what is measured, what is running, where time goes, and what operators do."""

from __future__ import annotations

import streamlit as st

from app.bridge import get_bridge
from app.operations.actions import draw_actions, draw_told
from app.operations.caches import draw_caches
from app.operations.checks import draw_checks
from app.operations.drain import draw_drain
from app.operations.features import draw_features
from app.operations.live import draw_live
from app.operations.models import draw_models
from app.operations.questions import draw_questions

bridge = get_bridge()
st.html("<h1>Operations</h1>")
draw_told()
with st.container(horizontal=True, key="operate", vertical_alignment="center"):
    draw_drain(bridge)
    draw_models(bridge)
draw_live(bridge)
st.subheader("What runs")
draw_features(bridge)
st.subheader("Cache layers")
draw_caches(bridge)
st.subheader("Slowest questions")
draw_questions(bridge)
st.subheader("Checks")
draw_checks(bridge)
st.subheader("What was done")
draw_actions(bridge)
