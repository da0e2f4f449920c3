"""Bringing a place of the page into view, which Streamlit has no word for."""

from __future__ import annotations

import streamlit as st


def scroll_to(selector: str, reason: str) -> None:
    """Scroll to the first element of a CSS selector, once for each `reason` (an id of our own)."""
    st.html(
        f"<script>/* {reason} */ setTimeout(() => document.querySelector({selector!r})"
        "?.scrollIntoView({block: 'start', behavior: 'smooth'}), 50)</script>",
        unsafe_allow_javascript=True,
    )
