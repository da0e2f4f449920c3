"""Where the pages are. A new page is one line here."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from engine.access.principal import Principal

ROOT = Path(__file__).resolve().parent.parent
CHAT = ROOT / "pages" / "chat.py"
DOCUMENTS = ROOT / "pages" / "documents.py"
RERANKERS = ROOT / "pages" / "rerankers.py"
OPERATIONS = ROOT / "pages" / "operations.py"
ACCESS = ROOT / "pages" / "access.py"


def pages(who: Principal, *, guarded: bool) -> list[st.Page]:
    """The pages that somebody can use, in the order of the menu; the first is the one that opens.

    guarded: with access control, of which administrators have a page.
    """
    everybodys = [
        st.Page(CHAT, title="Chat", url_path="chat", default=True),
        st.Page(DOCUMENTS, title="Documents", url_path="documents"),
    ]
    operators = [
        st.Page(RERANKERS, title="Rerankers", url_path="rerankers"),
        st.Page(OPERATIONS, title="Operations", url_path="operations"),
    ]
    administrators = [st.Page(ACCESS, title="Access", url_path="access")] if guarded else []
    return [
        *everybodys,
        *(operators if who.may("operate") else []),
        *(administrators if who.may("administer") else []),
    ]
