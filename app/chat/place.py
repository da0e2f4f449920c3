"""What the page tells its script (static/chat.js): where turns go that are asked without a run of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from uuid import UUID

import streamlit as st
from pydantic_core import to_json

from app.text import escape
from engine.answering.model import Mode
from engine.chat.model import Turn
from engine.documents.model import DocumentFilter


def draw_place(session_id: UUID | None, turns: Sequence[Turn]) -> None:
    """Below the turns that this run has drawn; session_id: None for a new chat.

    It is another element after each run, by which the script knows of the run.
    """
    after = max((turn.id for turn in turns), default=0)
    st.html(
        f'<div class="live" data-session="{session_id or ""}" data-after="{after}"'
        f' data-run="{time.time()}"></div>'
    )
    st.button("Show what can be done", key="settle")  # for the script, out of sight


def choices_html(scope: DocumentFilter, mode: Mode) -> str:
    """Scope and mode of the next question."""
    chosen = {name: value for name, value in asdict(scope).items() if value}
    return (
        f'<span class="choices" data-filter="{escape(to_json(chosen).decode())}" data-mode="{mode}"></span>'
    )
