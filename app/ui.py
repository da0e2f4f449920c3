"""The script that Streamlit runs: navigation, and what every page shares."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402

from app.bridge import get_bridge  # noqa: E402
from app.entrance import come_in  # noqa: E402
from app.messages import shown_errors  # noqa: E402
from app.navigation import pages  # noqa: E402
from app.operations.drain import tell_draining  # noqa: E402
from app.pacing import PAGES  # noqa: E402
from app.scripts import STATIC, TAGS  # noqa: E402

with PAGES.turn():
    st.set_page_config(page_title="Dossier", page_icon=str(STATIC / "icon.png"), layout="wide")
    st.html(STATIC / "style.css")
    st.html(TAGS, unsafe_allow_javascript=True)
    bridge = get_bridge()
    page = st.navigation(pages(come_in(bridge), guarded=bridge.guarded), position="top")
    tell_draining()
    with shown_errors():
        page.run()
