"""The passage behind a citation, in its context, with the cited sentences highlighted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from app.bridge import Bridge, get_bridge
from app.messages import shown_errors
from app.navigation import DOCUMENTS
from app.pacing import PAGES
from app.text import escape, marked, short
from engine import Engine
from engine.answering.model import Answer
from engine.documents.model import PageImage, Passage, Status
from engine.errors import NotFound

_BEFORE, _AFTER = 180, 400  # characters shown of the neighbouring passages
_STATUS = {"draft": "Draft", "superseded": "Superseded", "expired": "Expired"}


def draw_evidence(bridge: Bridge | None, answer: Answer, turn_id: int, number: int, *, chosen: bool) -> None:
    """Source `number` of an answer; the page of a PDF is drawn at once where the reader chose it.

    With a bridge its document is looked up, for what has become of it and what stands around.
    """
    passage = answer.sources[number - 1].passage
    spans = _cited(answer, number)
    seen = bridge.call(lambda engine: _look_up(engine, passage)) if bridge else _Seen.as_answered(passage)
    with st.container(key=f"evidence-{turn_id}", gap="small"):
        st.html(_head(number, passage, seen) + _body(passage, seen.around, spans))
        if seen.gone:
            return
        if has_page(passage) and not seen.note:
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


def evidence_html(answer: Answer, number: int) -> str:
    """Source `number` as the answer was given it, its document not looked at again."""
    passage = answer.sources[number - 1].passage
    return _head(number, passage, _Seen.as_answered(passage)) + _body(passage, (), _cited(answer, number))


def has_page(passage: Passage) -> bool:
    """Whether there is a picture of the page that it is on."""
    return passage.document_type == "pdf" and bool(passage.page)


def _cited(answer: Answer, number: int) -> list[tuple[int, int]]:
    return [(citation.start, citation.end) for citation in answer.citations if citation.number == number]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What has become of a passage's document. gone: deleted. around: neighbouring passages."""

    title: str
    status: Status
    note: str = ""
    gone: bool = False
    around: tuple[Passage, ...] = ()

    @classmethod
    def as_answered(cls, passage: Passage, note: str = "", *, gone: bool = False) -> _Seen:
        return cls(passage.document_title, passage.document_status, note, gone)


async def _look_up(engine: Engine, passage: Passage) -> _Seen:
    try:
        document = await engine.documents.get(passage.document_id)
    except NotFound:
        return _Seen.as_answered(passage, "The document has been deleted since this answer.", gone=True)
    known, note = document.metadata, ""
    if document.version != passage.document_version:
        note = "The document has changed since this answer; this is what it was given."
    return _Seen(known.title, known.status, note, False, tuple(await engine.passage_context(passage.id)))


def _head(number: int, passage: Passage, seen: _Seen) -> str:
    badge = (
        f'<span class="badge {seen.status}">{_STATUS[seen.status]}</span>' if seen.status in _STATUS else ""
    )
    note = f'<div class="note">{seen.note}</div>' if seen.note else ""
    place = [part for part in (passage.heading, f"page {passage.page}" if passage.page else "") if part]
    return (
        f'<div class="evidence-head"><span class="number" aria-label="Source {number}">{number}</span>'
        f"<div><strong>{escape(seen.title)}</strong> {badge}"
        f'<div class="place">{escape(" · ".join(place))}</div>'
        f"{note}</div></div>"
    )


def _body(passage: Passage, around: Sequence[Passage], spans: list[tuple[int, int]]) -> str:
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
        visitor_id = get_bridge().visitor_id()
        with PAGES.waiting():  # for another page that draws the same, perhaps
            page, image = page_image(passage, quote, visitor_id)
        place = "the place is marked" if image.found else "the place could not be marked"
        st.image(image.png, width="stretch", alt=f"Page {page} of the document; {place}")


@st.cache_data(
    max_entries=64, ttl=600, show_spinner="Drawing the page…", hash_funcs={Passage: lambda p: p.id}
)
def page_image(passage: Passage, quote: str, visitor_id: str) -> tuple[int, PageImage]:
    """The page that the quotation is on. Passages get new ids with every version of a document."""
    return get_bridge().call(lambda engine: engine.page_image(passage, quote))
