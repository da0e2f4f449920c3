"""What a chat shows before its first question."""

from __future__ import annotations

import streamlit as st

from app.bridge import Bridge
from app.library.sample import offer_sample
from app.navigation import DOCUMENTS
from app.pacing import PAGES
from app.state import Ask, TabState
from app.text import counted, plain


def draw_welcome(bridge: Bridge, state: TabState) -> None:
    """First questions, or the way to the first documents."""
    with st.container(key="welcome", gap="small"):
        documents, passages = bridge.call(lambda engine: engine.documents.extent())
        if documents == 0:
            if not bridge.may("edit"):
                st.html("<h1>Ask your documents</h1><p>There are none yet that you may read.</p>")
                return
            st.html("<h1>Ask your documents</h1><p>There are none yet. Add some, or try a small sample.</p>")
            with st.container(horizontal=True, vertical_alignment="center"):
                st.page_link(DOCUMENTS, label="Add documents", icon=":material/upload_file:")
                offer_sample(bridge, state)
            return
        st.html(
            "<h1>Ask your documents</h1>"
            f"<p>{counted(documents, 'document')}, {counted(passages, 'passage')}. "
            "Every answer shows the sentences that it stands on.</p>"
        )
        visitor_id = bridge.visitor_id()
        with PAGES.waiting():  # for another page that works them out, perhaps
            suggested = _suggestions(bridge, visitor_id, documents, passages)
        for n, question in enumerate(suggested):
            st.button(
                plain(question),
                key=f"suggestion-{n}",
                icon=":material/arrow_forward:",
                on_click=state.put,
                args=(Ask(question),),
            )


@st.cache_data(ttl=300, max_entries=8, show_spinner=False)
def _suggestions(_bridge: Bridge, visitor_id: str, documents: int, passages: int) -> list[str]:
    """First questions; asked anew once the number of documents or passages changes."""
    return _bridge.call(lambda engine: engine.suggestions(limit=4))
