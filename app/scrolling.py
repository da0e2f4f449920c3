"""Bringing a place of the page into view, which Streamlit has no word for."""

from __future__ import annotations

import streamlit as st

from app.text import escape


def scroll_to(selector: str, reason: str) -> None:
    """Scroll to the first element of a CSS selector, once for each `reason` (an id of our own)."""
    st.html(f'<span class="scroll-to" data-to="{escape(selector)}" data-reason="{escape(reason)}"></span>')
