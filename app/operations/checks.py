"""Every part tried, on demand: what `python -m engine doctor` tells."""

from __future__ import annotations

import streamlit as st

from app.bridge import Bridge
from app.messages import shown_errors

_MARKS = {"ok": "✓ ok", "warning": "⚠️ warning", "failed": "✗ failed"}


@st.fragment
def draw_checks(bridge: Bridge) -> None:
    """A button, and what was found when it was last pressed."""
    if not st.button("Check every part", key="diagnose", icon=":material/stethoscope:"):
        st.caption("Takes some seconds; questions are answered meanwhile.")
        return
    with shown_errors(), st.spinner("Every part is being tried…"):
        checks = bridge.call(lambda engine: engine.diagnose())
        st.dataframe(
            {
                "Status": [_MARKS[check.status] for check in checks],
                "Part": [check.name for check in checks],
                "Seen": [check.seen for check in checks],
                "What to do": [check.advice for check in checks],
            },
            key="checks",
            hide_index=True,
            column_config={
                "Seen": st.column_config.TextColumn(width="large"),
                "What to do": st.column_config.TextColumn(width="large"),
            },
        )
