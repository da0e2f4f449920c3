"""The one owner of the raw keys of `st.session_state`: ids and drafts only.

Everything that must outlive a tab is in the database, under the id in the address.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

import streamlit as st

from engine.answering.model import Mode
from engine.documents.model import DocumentFilter

_KEY = "dossier"


@dataclass(slots=True)
class TabState:
    """What one browser tab has in hand.

    open_citation: (turn id, number) of the passage shown beside the answer.
    asking: a question to be asked in this run; replaces: the turn it takes the place of.
    editing: the turn whose question is being edited.
    scope: which documents questions are about.
    undo: ids of documents, or of a session, just deleted.
    job_id: the ingestion followed on the Documents page. page_number: of its table, from 0.
    """

    open_citation: tuple[int, int] | None = None
    asking: str = ""
    replaces: int | None = None
    editing: int | None = None
    scope: DocumentFilter = field(default_factory=DocumentFilter)
    mode: Mode = "fast"
    undo_documents: tuple[int, ...] = ()
    undo_session: UUID | None = None
    job_id: UUID | None = None
    page_number: int = 0


def tab_state() -> TabState:
    """This tab's state, made on first use."""
    if _KEY not in st.session_state:
        st.session_state[_KEY] = TabState()
    state: TabState = st.session_state[_KEY]
    return state
