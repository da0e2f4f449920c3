"""Where a question is written: the box at the bottom, its scope and its mode."""

from __future__ import annotations

import streamlit as st

from app.bridge import Bridge
from app.chat.place import choices_html
from app.chat.scope import draw_scope
from app.state import Ask, TabState
from engine.answering.model import MODES

_EXPLAINED = "Fast searches once. Balanced tries several phrasings; thorough also takes the question apart."


def draw_composer(bridge: Bridge, state: TabState) -> Ask | None:
    """Returns what is to be asked in this run, from the box or from a button pressed before."""
    with st.bottom:
        _draw_choices(bridge, state)
        question = st.chat_input("Ask your documents", key="question", submit_mode="stop")
    if isinstance(question, str) and question.strip():
        state.ask, state.editing = None, None
        return Ask(question)
    return state.take_ask()


@st.fragment  # so that choosing does not interrupt an answer
def _draw_choices(bridge: Bridge, state: TabState) -> None:
    with st.container(key="choices", horizontal=True, vertical_alignment="center", gap="small"):
        draw_scope(bridge, state)
        if bridge.language_model:
            st.space("stretch")
            state.mode = st.segmented_control(
                "Mode",
                MODES,
                default=state.mode,
                required=True,
                format_func=str.capitalize,
                key="mode",
                label_visibility="collapsed",
                help=_EXPLAINED,
            )
        st.html(choices_html(state.scope, state.mode), width="content")
