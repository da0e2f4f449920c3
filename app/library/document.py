"""One document: its text in passages, its outline, its details, its file."""

from __future__ import annotations

import streamlit as st

from app.bridge import Bridge
from app.filters import language_name
from app.library.bulk import delete
from app.library.collections import collection_names, draw_move
from app.library.details import draw_details
from app.messages import shown_errors
from app.navigation import CHAT, DOCUMENTS
from app.scrolling import scroll_to
from app.state import TabState
from app.text import counted, escape, size
from engine.documents.model import Document, DocumentFilter, Passage
from engine.documents.queries import OutlineEntry

PAGE = 10


def draw_document(bridge: Bridge, state: TabState, document_id: int, at: int | None) -> None:
    """The view of `?doc=`; `at` is the position of a passage to begin with. Raises NotFound."""
    document = bridge.call(lambda engine: engine.documents.get(document_id))
    st.page_link(DOCUMENTS, label="All documents", icon=":material/arrow_back:")
    st.html(_head(document, collection_names(bridge).get(document.collection_id, "")))
    _draw_actions(bridge, state, document)
    text, details = st.columns([3, 2], gap="large")
    with text:
        _draw_text(bridge, document, at)
    with details:
        draw_details(bridge, document, edits=bridge.may("edit"))


def _head(document: Document, collection: str) -> str:
    known = document.metadata
    facts = [
        document.type.upper(),
        language_name(known.language),
        counted(document.page_count, "page") if document.page_count else "",
        counted(document.passage_count, "passage"),
        size(document.size_bytes),
        f"in {collection}" if collection else "",
        f"version {document.version}" if document.version > 1 else "",
        document.file_name,
    ]
    status = f'<span class="badge {known.status}">{known.status.capitalize()}</span>'
    tags = "".join(f'<span class="badge tag">{escape(tag)}</span>' for tag in known.tags)
    return (
        f"<h1>{escape(known.title)}</h1><div>{status}{tags}</div>"
        f'<div class="place">{escape(" · ".join(fact for fact in facts if fact))}</div>'
    )


def _draw_actions(bridge: Bridge, state: TabState, document: Document) -> None:
    with st.container(key="document-actions", horizontal=True, vertical_alignment="center"):
        if st.button("Ask about it", key="ask-about", type="primary", icon=":material/chat:"):
            state.scope = DocumentFilter(document_ids=(document.id,))
            st.switch_page(CHAT)
        st.download_button(
            "Download",
            bridge.later(lambda engine: engine.documents.download(document.id)),
            file_name=document.file_name,
            mime="application/octet-stream",  # to be kept, never shown: it is somebody's file
            on_click="ignore",
            icon=":material/download:",
            key="download",
        )
        if not bridge.may("edit"):
            return
        draw_move(bridge, state, [document])
        if st.button("Index again", key="reindex", icon=":material/sync:"):
            with shown_errors():
                state.job_id = bridge.call(lambda engine: engine.ingestion.reindex([document.id])).id
                st.rerun()
        if st.button("Delete", key="delete", icon=":material/delete:"):
            with shown_errors():
                delete(bridge, state, [document.id])
                st.switch_page(DOCUMENTS)


@st.fragment
def _draw_text(bridge: Bridge, document: Document, at: int | None) -> None:
    pages = max(1, -(-document.passage_count // PAGE))
    key = f"passages-{document.id}-{document.version}"
    if key not in st.session_state:
        st.session_state[key] = min((at or 0) // PAGE + 1, pages)
    outline = bridge.call(lambda engine: engine.documents.outline(document.id))
    if outline:
        _draw_outline(outline, document.id, key)
    page = st.session_state[key]
    passages = bridge.call(lambda engine: engine.documents.passages(document.id, (page - 1) * PAGE, PAGE))
    st.html("".join(_passage(passage, passage.position == at) for passage in passages) or "<p>No text.</p>")
    if at is not None:
        scroll_to(".passage.wanted", f"{document.id} {at}")
    if pages > 1:
        st.pagination(pages, key=key)


def _draw_outline(outline: tuple[OutlineEntry, ...] | list[OutlineEntry], document_id: int, key: str) -> None:
    name = f"outline-{document_id}"

    def go() -> None:
        if (chosen := st.session_state[name]) is not None:
            st.session_state[key] = outline[chosen].position // PAGE + 1

    def label(number: int) -> str:
        entry = outline[number]
        return (
            "\N{EM SPACE}" * (entry.level - 1)
            + entry.heading
            + (f"  (p. {entry.page})" if entry.page else "")
        )

    st.selectbox(
        "Outline",
        range(len(outline)),
        index=None,
        format_func=label,
        key=name,
        on_change=go,
        placeholder=f"Go to one of {counted(len(outline), 'heading')}",
    )


def _passage(passage: Passage, wanted: bool) -> str:
    place = [part for part in (passage.heading, f"page {passage.page}" if passage.page else "") if part]
    header = f'<div class="table-header">{escape(passage.context)}</div>' if passage.context else ""
    return (
        f'<div class="passage stored{" wanted" if wanted else ""}">'
        f'<div class="place">{escape(" · ".join(place))}</div>{header}'
        f'<div class="cited">{escape(passage.text)}</div></div>'
    )
