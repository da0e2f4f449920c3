"""The list of documents: found, filtered, sorted and paged by the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from app.bridge import Bridge
from app.filters import FIELDS, filter_fields, filter_words, language_name
from app.library.bulk import draw_bulk
from app.library.collections import collection_names
from app.state import TabState
from app.text import counted, plain, size
from engine import Engine
from engine.documents.model import Document, DocumentFilter
from engine.documents.queries import DocumentList, DocumentQuery, Facets, Sort

PAGE = 25
_SORTS: dict[str, tuple[Sort, bool]] = {
    "Latest change": ("updated", True),
    "Title": ("title", False),
    "Published, newest first": ("published", True),
    "Published, oldest first": ("published", False),
    "Most passages": ("passages", True),
    "Largest": ("size", True),
    "Type": ("type", False),
    "Language": ("language", False),
    "Status": ("status", False),
}


@st.fragment
def draw_listing(bridge: Bridge, state: TabState) -> None:
    """Search, filters, one page of the table, and what can be done with the rows chosen."""
    names = collection_names(bridge)
    query = _draw_query(bridge, state, names)
    documents, page = _draw_page_choice(bridge, query)
    if not documents.rows:
        st.caption("No document matches. Take a filter away or search for other words.")
        return
    key = f"documents-{state.selections}-{page}"
    chosen = st.dataframe(
        _columns(documents.rows, names),
        key=key,
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        column_config=_column_config(),
        height="content",
        alt="Documents",
    )
    rows = [documents.rows[row] for row in chosen["selection"]["rows"] if row < len(documents.rows)]
    draw_bulk(bridge, state, rows)


def _draw_query(bridge: Bridge, state: TabState, names: Mapping[int, str]) -> DocumentQuery:
    with st.container(key="list-query", horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            "Search",
            state.filter.text,
            key="list-search",
            type="search",
            placeholder="Words of the title or the file name",
            label_visibility="collapsed",
        )
        order = st.selectbox("Sort by", [*_SORTS], key="list-sort", label_visibility="collapsed", width=220)
        narrowed = replace(state.filter, text="")
        popover = st.popover("Filters", key="list-filters", on_change="rerun", icon=":material/filter_alt:")
        with popover:
            if popover.open:
                facets: Facets = bridge.call(lambda engine: engine.documents.facets())
                narrowed = filter_fields(facets, narrowed, "list")
    if narrowed:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(plain(filter_words(narrowed, names)), width="content")
            st.button(
                "Clear filters",
                key="list-clear",
                type="tertiary",
                icon=":material/filter_alt_off:",
                on_click=_clear,
                args=(state,),
            )
    state.filter = replace(narrowed, text=text or "")
    sort, descending = _SORTS[order]
    return DocumentQuery(state.filter, sort, descending, limit=PAGE)


def _clear(state: TabState) -> None:
    state.filter = DocumentFilter(text=state.filter.text)
    for name in FIELDS:
        st.session_state.pop(f"list-{name}", None)


def _draw_page_choice(bridge: Bridge, query: DocumentQuery) -> tuple[DocumentList, int]:
    # A key of the query's own: another search begins at its first page.
    key = f"list-page-{hash((query.filter, query.sort, query.descending))}"
    page = st.session_state.get(key, 1)

    async def look(engine: Engine) -> DocumentList:
        return await engine.documents.list(replace(query, offset=(page - 1) * PAGE))

    documents = bridge.call(look)
    pages = max(1, -(-documents.total // PAGE))
    if pages > 1:
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.caption(counted(documents.total, "document"), width="content")
            st.pagination(pages, key=key)
    return documents, page


def _columns(rows: tuple[Document, ...], names: Mapping[int, str]) -> dict[str, list[Any]]:
    """names: of collections; where there is one only, all documents are in it."""
    collections = {"Collection": [names.get(row.collection_id, "") for row in rows]} if len(names) > 1 else {}
    return {
        "Title": [row.metadata.title for row in rows],
        **collections,
        "Status": [row.metadata.status.capitalize() for row in rows],
        "Type": [row.type.upper() for row in rows],
        "Language": [language_name(row.metadata.language) for row in rows],
        "Published": [str(row.metadata.published_on or "") for row in rows],
        "Tags": [list(row.metadata.tags) for row in rows],
        "Passages": [row.passage_count for row in rows],
        "Size": [size(row.size_bytes) for row in rows],
        "File": [row.file_name for row in rows],
    }


def _column_config() -> dict[str, Any]:
    config = st.column_config
    return {
        "Title": config.TextColumn(width="large"),
        "Tags": config.ListColumn(width="medium"),
        "Passages": config.NumberColumn(format="localized"),
    }
