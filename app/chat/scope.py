"""Which documents the next question is about."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from app.bridge import Bridge
from app.filters import FIELDS, filter_fields, filter_words
from app.library.collections import collection_names
from app.messages import shown_errors
from app.state import TabState
from app.text import plain
from engine import Engine
from engine.documents.model import Document, DocumentFilter
from engine.documents.queries import DocumentQuery, Facets

_FOUND = 30  # documents offered at once


def draw_scope(bridge: Bridge, state: TabState) -> None:
    """A popover, drawn and asked of the database only while it is open; beside it what was chosen."""
    # Its label is a part of what it is: with another it would be another popover, and closed.
    popover = st.popover(
        "Scope", icon=":material/filter_alt:", type="tertiary", key="scope", on_change="rerun"
    )
    # Of one height from the start: the popover is placed while it is still empty.
    with popover, st.container(height=420, border=False, key="scope-fields"), shown_errors():
        if popover.open:
            _draw_fields(bridge, state)
    if state.scope:
        names = collection_names(bridge) if state.scope.collection_ids else {}
        st.caption(plain(filter_words(state.scope, names)), width="content")
        st.button(
            "Ask all documents",
            key="scope-clear",
            type="tertiary",
            icon=":material/filter_alt_off:",
            on_click=_clear,
            args=(state,),
        )


def _draw_fields(bridge: Bridge, state: TabState) -> None:
    search = st.text_input(
        "Find documents", key="scope-search", placeholder="Words of the title or the file name", type="search"
    )
    facets, found, chosen = bridge.call(
        lambda engine: _look_up(engine, search or "", state.scope.document_ids)
    )
    titles = {document.id: document.metadata.title for document in (*chosen, *found)}
    ids = st.multiselect(
        "Documents",
        titles,
        [document.id for document in chosen],
        format_func=lambda one: titles.get(one, f"Document {one}"),
        key="scope-documents",
        placeholder="All" if titles else "None found",
        select_all=False,
    )
    state.scope = replace(filter_fields(facets, state.scope, "scope"), document_ids=tuple(ids))


def _clear(state: TabState) -> None:
    state.scope = DocumentFilter()
    for name in ("documents", "search", *FIELDS):
        st.session_state.pop(f"scope-{name}", None)


async def _look_up(
    engine: Engine, search: str, ids: tuple[int, ...]
) -> tuple[Facets, tuple[Document, ...], tuple[Document, ...]]:
    documents = engine.documents
    found = await documents.list(
        DocumentQuery(DocumentFilter(text=search), sort="title", descending=False, limit=_FOUND)
    )
    chosen: tuple[Document, ...] = ()
    if ids:
        chosen = (await documents.list(DocumentQuery(DocumentFilter(document_ids=ids), limit=len(ids)))).rows
    return await documents.facets(), found.rows, chosen
