"""The script that Streamlit runs: navigation, and what every page shares."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402

from app.messages import shown_errors  # noqa: E402

st.set_page_config(page_title="Dossier", page_icon=str(ROOT / "app" / "static" / "icon.png"), layout="wide")

page = st.navigation(
    [
        st.Page(ROOT / "pages" / "chat.py", title="Chat", url_path="chat", default=True),
        st.Page(ROOT / "pages" / "documents.py", title="Documents", url_path="documents"),
    ],
    position="top",
)
with shown_errors():
    page.run()
