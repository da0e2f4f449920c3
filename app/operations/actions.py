"""What operators did."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.bridge import Bridge
from app.messages import shown_errors
from app.text import plain
from engine.operations.operations import OperatorAction

_TOLD = "operator-actions-told"


def tell(actions: Sequence[OperatorAction]) -> None:
    """Have the next run of the page say how these went."""
    st.session_state[_TOLD] = [*actions]


def draw_told() -> None:
    """How the latest actions of this tab went, once."""
    for action in st.session_state.pop(_TOLD, []):
        kept = "" if action.at else " This could not be recorded: PostgreSQL does not answer."
        show = st.success if action.done and action.at else st.warning
        show(plain(f"{action.action.capitalize()} {action.subject}: {action.outcome}{kept}"))


def draw_actions(bridge: Bridge) -> None:
    """The latest, from every process and from the command line."""
    with shown_errors():
        actions = bridge.call(lambda engine: engine.operations.recent())
        if not actions:
            st.caption("Nothing was done yet. What is done here or on the command line is recorded here.")
            return
        st.dataframe(
            {
                "At (UTC)": [action.at for action in actions],
                "Action": [action.action.capitalize() for action in actions],
                "Of": [action.subject for action in actions],
                "Outcome": [action.outcome for action in actions],
                "From": [action.via.capitalize() for action in actions],
            },
            key="operator-actions",
            hide_index=True,
            column_config={
                "At (UTC)": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm:ss", timezone="UTC"),
                "Outcome": st.column_config.TextColumn(width="large"),
            },
        )
