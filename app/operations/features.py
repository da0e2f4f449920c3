"""What was asked for and what is running."""

from __future__ import annotations

import streamlit as st

from app.bridge import Bridge
from app.messages import shown_errors


@st.fragment(run_every=10)
def draw_features(bridge: Bridge) -> None:
    """One row a feature; where the two differ, why."""
    with shown_errors():
        features = bridge.call(lambda engine: engine.features())
        st.dataframe(
            {
                "": ["⚠️" if feature.why else "✓" for feature in features],
                "Feature": [feature.name for feature in features],
                "Asked for": [feature.asked for feature in features],
                "Running": [feature.effective for feature in features],
                "Why": [feature.why for feature in features],
                "Since (UTC)": [feature.since for feature in features],
            },
            key="features",
            height="content",
            hide_index=True,
            column_config={
                "": st.column_config.TextColumn(width=30, help="⚠️: another thing runs than was asked for."),
                "Why": st.column_config.TextColumn(width="large"),
                "Since (UTC)": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm", timezone="UTC"),
            },
        )
