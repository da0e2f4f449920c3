"""Giving sets and runs other names."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app.messages import shown_errors


def draw_rename(name: str, key: str, rename: Callable[[str], object]) -> None:
    """A form for another name, behind a button."""
    with st.popover("Rename", key=f"rename-{key}", icon=":material/edit:", type="tertiary"), shown_errors():
        given = st.text_input("Name", name, key=f"name-of-{key}", max_chars=80)
        if st.button("Rename", key=f"do-rename-{key}", type="primary"):
            rename(given)
            st.rerun()
