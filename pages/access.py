"""Access: who can come in, with which keys, and who did what; for administrators."""

from __future__ import annotations

import streamlit as st

from app.access.accounts import draw_accounts
from app.access.events import draw_events
from app.access.keys import draw_keys
from app.bridge import get_bridge

bridge = get_bridge()
st.html("<h1>Access</h1>")
accounts, keys, events = st.tabs(["Accounts", "REST keys", "Audit"])
with accounts:
    draw_accounts(bridge)
with keys:
    draw_keys(bridge)
with events:
    draw_events(bridge)
