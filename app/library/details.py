"""What is known about one document, edited in place."""

from __future__ import annotations

import streamlit as st

from app.bridge import Bridge
from app.filters import LANGUAGES, date_field, language_name
from app.messages import shown_errors
from engine import Engine
from engine.documents.model import STATUSES, Document, DocumentFilter, Metadata
from engine.documents.queries import DocumentQuery, Facets

_OFFERED = 200  # titles offered as the successor


def draw_details(bridge: Bridge, document: Document, *, edits: bool) -> None:
    """A form of the metadata; saving shows what was stored. edits: whether the reader may save it."""
    given = document.metadata
    facets, others = bridge.call(lambda engine: _look_up(engine, document))
    titles = {other.id: other.metadata.title for other in others}
    successors = [None, *titles]
    if given.superseded_by is not None and given.superseded_by not in titles:
        successors.append(given.superseded_by)
    codes = dict.fromkeys([given.language, *LANGUAGES, *facets.languages])
    key = f"{document.id}-{document.updated_at.timestamp()}"
    with st.form(f"details-{document.id}", border=False):
        title = st.text_input("Title", given.title, key=f"title-{key}")
        status = st.selectbox(
            "Status", STATUSES, STATUSES.index(given.status), format_func=str.capitalize, key=f"status-{key}"
        )
        superseded_by = st.selectbox(
            "Superseded by",
            successors,
            successors.index(given.superseded_by),
            format_func=lambda one: "None" if one is None else titles.get(one, f"Document {one}"),
            key=f"superseded-{key}",
        )
        left, right = st.columns(2)
        with left:
            published = date_field("Published", given.published_on, f"published-{key}")
            expires = date_field("Expires", given.expires_on, f"expires-{key}")
        with right:
            effective = date_field("In effect from", given.effective_on, f"effective-{key}")
        language = right.selectbox("Language", [*codes], format_func=language_name, key=f"language-{key}")
        tags = st.multiselect(
            "Tags",
            [*dict.fromkeys([*given.tags, *facets.tags])],
            given.tags,
            accept_new_options=True,
            key=f"tags-{key}",
            placeholder="None",
        )
        saved = st.form_submit_button(
            "Save",
            type="primary",
            disabled=not edits,
            help=None if edits else "You may not change documents.",
        )
    if saved:
        with shown_errors():
            metadata = Metadata(
                title, language, status, published, effective, expires, superseded_by, tuple(tags)
            )
            bridge.call(lambda engine: engine.ingestion.edit(document.id, metadata, given))
            st.toast("Saved.", icon=":material/check:")
            st.rerun()


async def _look_up(engine: Engine, document: Document) -> tuple[Facets, list[Document]]:
    query = DocumentQuery(DocumentFilter(), sort="title", descending=False, limit=_OFFERED)
    others = (await engine.documents.list(query)).rows
    return await engine.documents.facets(), [other for other in others if other.id != document.id]
