"""What can be done with the documents chosen in the list."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.bridge import Bridge
from app.library.collections import draw_move
from app.messages import shown_errors
from app.navigation import DOCUMENTS
from app.state import TabState
from app.text import counted
from engine.documents.model import STATUSES, Document, Status


def draw_bulk(bridge: Bridge, state: TabState, rows: Sequence[Document]) -> None:
    """Open, tag, change the status of, index again or delete the rows chosen."""
    edits = bridge.may("edit")
    if not rows:
        st.caption(
            "Choose rows to open, tag, change or delete them." if edits else "Choose a row to open it."
        )
        return
    ids = [row.id for row in rows]
    with st.container(key="bulk", horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{counted(len(rows), 'document')}**", width="content")
        if len(rows) == 1:
            st.page_link(
                DOCUMENTS, label="Open", icon=":material/open_in_full:", query_params={"doc": str(rows[0].id)}
            )
        if not edits:
            return
        with st.popover("Tags and status", icon=":material/sell:", key="bulk-change"):
            _draw_change(bridge, state, rows)
        draw_move(bridge, state, rows)
        if st.button("Index again", key="bulk-reindex", icon=":material/sync:"):
            with shown_errors():
                state.job_id = bridge.call(lambda engine: engine.ingestion.reindex(ids)).id
                st.rerun()
        if st.button("Delete", key="bulk-delete", icon=":material/delete:"):
            with shown_errors():
                delete(bridge, state, ids)
                st.rerun()


def _draw_change(bridge: Bridge, state: TabState, rows: Sequence[Document]) -> None:
    used = sorted({tag for row in rows for tag in row.metadata.tags})
    facets = bridge.call(lambda engine: engine.documents.facets())
    with st.form("bulk-form", border=False):
        add = st.multiselect(
            "Add tags", facets.tags, accept_new_options=True, key="bulk-add", placeholder="Tags"
        )
        remove = st.multiselect("Remove tags", used, key="bulk-remove", placeholder="Tags")
        status: Status | None = st.selectbox(
            "Status",
            STATUSES,
            index=None,
            format_func=str.capitalize,
            key="bulk-status",
            placeholder="As it is",
        )
        saved = st.form_submit_button("Save", type="primary")
    if saved:
        with shown_errors():
            ids = [row.id for row in rows]
            bridge.call(
                lambda engine: engine.documents.update_many(
                    ids, add_tags=add, remove_tags=remove, status=status
                )
            )
            state.selections += 1
            st.rerun()


def delete(bridge: Bridge, state: TabState, ids: Sequence[int]) -> None:
    """Delete documents, to be undone from the bar above the list. Raises as the engine does."""
    bridge.call(lambda engine: engine.documents.delete(ids))
    state.deleted_documents = tuple(ids)
    state.selections += 1


def draw_undo(bridge: Bridge, state: TabState) -> None:
    """The bar that says what was deleted, and takes it back."""
    ids = state.deleted_documents
    if not ids:
        return
    with st.container(key="undo-documents", horizontal=True, vertical_alignment="center", border=True):
        st.markdown(f"{counted(len(ids), 'document')} deleted.", width="content")
        if st.button("Undo", key="undo", type="primary"):
            with shown_errors():
                bridge.call(lambda engine: engine.documents.restore(ids))
                state.deleted_documents = ()
                state.selections += 1
                st.rerun()
        if st.button("Dismiss", key="dismiss-undo", type="tertiary"):
            state.deleted_documents = ()
            st.rerun()
