"""The one owner of the raw keys of `st.session_state`: ids and drafts only.

Everything that must outlive a tab is in the database, under the id in the address.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from uuid import UUID

import streamlit as st

from app.pacing import PAGES
from app.rerankers.state import ComparisonState
from engine.answering.model import Mode
from engine.documents.model import DocumentFilter

_KEY = "dossier"
_LISTED = 12  # each is a message in every run of the page


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to be asked.

    replaces: the turn it takes the place of. asks_again: the turn whose question it is, which
    stays. scope, mode: the tab's, unless given.
    """

    question: str
    replaces: int | None = None
    asks_again: int | None = None
    scope: DocumentFilter | None = None
    mode: Mode | None = None


@dataclass(slots=True)
class TabState:
    """What one browser tab has in hand.

    ask: what the next run of the chat page is to ask. editing: the turn whose question is being edited.
    scope: which documents questions are about.
    all_turns: the session that is shown from its first turn on. listed: chats in the side bar.
    link: the session that was shared in this tab last, and its link, which is kept nowhere else.
    deleted_session, deleted_documents: ids of what was just deleted, for undoing it.
    filter: what the Documents page lists. job_id: the ingestion that it follows.
    written: set once the answer that this tab follows is put away. Streamlit begins the next run
        while the last one is still being stopped.
    comparison: of the Rerankers page.
    selections, uploads: count what was selected, or given up, so that the widget starts empty the next time.
    """

    ask: Ask | None = None
    editing: int | None = None
    scope: DocumentFilter = field(default_factory=DocumentFilter)
    mode: Mode = "fast"
    all_turns: UUID | None = None
    listed: int = _LISTED
    link: tuple[UUID, str] | None = None
    deleted_session: UUID | None = None
    deleted_documents: tuple[int, ...] = ()
    filter: DocumentFilter = field(default_factory=DocumentFilter)
    job_id: UUID | None = None
    selections: int = 0
    uploads: int = 0
    written: threading.Event | None = None
    comparison: ComparisonState = field(default_factory=ComparisonState)

    def put(self, ask: Ask) -> None:
        """Have this asked in the coming run."""
        self.ask = ask

    def edit(self, turn_id: int | None) -> None:
        """Have this turn's question in an editor, or none."""
        self.editing = turn_id

    def await_written(self, seconds: float) -> None:
        """Wait until a stopped answer is kept, so that this run shows it."""
        if self.written is not None:
            with PAGES.waiting():
                self.written.wait(seconds)

    def list_more(self) -> None:
        """Have older chats in the side bar."""
        self.listed += 3 * _LISTED

    def take_ask(self) -> Ask | None:
        """What is to be asked, once."""
        ask, self.ask = self.ask, None
        return ask


def tab_state() -> TabState:
    """This tab's state, made on first use."""
    if _KEY not in st.session_state:
        st.session_state[_KEY] = TabState()
    state: TabState = st.session_state[_KEY]
    return state
