"""The passage behind a citation, in its context, with the cited sentences highlighted."""

from __future__ import annotations

import streamlit as st

from app.bridge import Bridge, get_bridge
from app.messages import shown_errors
from app.navigation import DOCUMENTS
from app.text import escape, marked, short
from engine import Engine
from engine.answering.model import Answer
from engine.documents.model import Document, Passage
from engine.documents.page_images import PageImage
from engine.errors import NotFound

_BEFORE, _AFTER = 180, 400  # characters shown of the neighbouring passages
_STATUS = {"draft": "Draft", "superseded": "Superseded", "expired": "Expired"}


def draw_evidence(bridge: Bridge, answer: Answer, turn_id: int, number: int, *, chosen: bool) -> None:
    """Source `number` of an answer; the page of a PDF is drawn at once where the reader chose it."""
    passage = answer.sources[number - 1].passage
    spans = [(c.start, c.end) for c in answer.citations if c.number == number]
    document, around = bridge.call(lambda engine: _look_up(engine, passage))
    with st.container(key=f"evidence-{turn_id}", gap="small"):
        st.html(_head(number, passage, document) + _body(passage, around, spans))
        if document is None:
            return
        if passage.document_type == "pdf" and passage.page and document.version == passage.document_version:
            asked = chosen or st.button(
                f"Show page {passage.page}", key=f"page-{turn_id}-{number}", icon=":material/plagiarism:"
            )
            if asked:
                quotes = [passage.text[start:end] for start, end in spans]
                _draw_page(passage, max(quotes, key=len, default=passage.text))
        st.page_link(
            DOCUMENTS,
            label="Open the document",
            icon=":material/description:",
            query_params={"doc": str(passage.document_id), "at": str(passage.position)},
        )


async def _look_up(engine: Engine, passage: Passage) -> tuple[Document | None, list[Passage]]:
    try:
        document = await engine.documents.get(passage.document_id)
    except NotFound:
        return None, []
    return document, await engine.passage_context(passage.id, around=1)


def _head(number: int, passage: Passage, document: Document | None) -> str:
    status = document.metadata.status if document else passage.document_status
    title = document.metadata.title if document else passage.document_title
    badge = f'<span class="badge {status}">{_STATUS[status]}</span>' if status in _STATUS else ""
    note = ""
    if document is None:
        note = "The document has been deleted since this answer."
    elif document.version != passage.document_version:
        note = "The document has changed since this answer; this is what it was given."
    note = f'<div class="note">{note}</div>' if note else ""
    note = f'<div class="note">{note}</div>' if note else ""
    place = [part for part in (passage.heading, f"page {passage.page}" if passage.page else "") if part]
    return (
        f'<div class="evidence-head"><span class="number" aria-label="Source {number}">{number}</span>'
        f"<div><strong>{escape(title)}</strong> {badge}"
        f'<div class="place">{escape(" · ".join(place))}</div>'
        f"{note}</div></div>"
    )


def _body(passage: Passage, around: list[Passage], spans: list[tuple[int, int]]) -> str:
    before = next((p.text for p in around if p.position == passage.position - 1), "")
    after = next((p.text for p in around if p.position == passage.position + 1), "")
    parts = []
    if before:
        cut = before if len(before) <= _BEFORE else "… " + before[-_BEFORE:].partition(" ")[2]
        parts.append(f'<div class="near">{escape(cut)}</div>')
    if passage.context:
        parts.append(f'<div class="table-header">{escape(passage.context)}</div>')
    parts.append(f'<div class="cited">{marked(passage.text, spans)}</div>')
    if after:
        parts.append(f'<div class="near">{escape(short(after, _AFTER))}</div>')
    return f'<div class="passage">{"".join(parts)}</div>'


def _draw_page(passage: Passage, quote: str) -> None:
    with shown_errors():
        page, image = page_image(passage, quote)
        place = "the place is marked" if image.found else "the place could not be marked"
        st.image(image.png, width="stretch", alt=f"Page {page} of the document; {place}")


@st.cache_data(
    max_entries=64, ttl=600, show_spinner="Drawing the page…", hash_funcs={Passage: lambda p: p.id}
)
def page_image(passage: Passage, quote: str) -> tuple[int, PageImage]:
    """The page that the quotation is on. Passages get new ids with every version of a document."""
    return get_bridge().call(lambda engine: engine.page_image(passage, quote))
