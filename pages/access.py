"""Access: who can come in, what they read, with which keys, and who did what; for administrators."""

from __future__ import annotations

import streamlit as st

from app.access.accounts import draw_accounts
from app.access.collections import draw_collections
from app.access.events import draw_events
from app.access.keys import draw_keys
from app.bridge import get_bridge

bridge = get_bridge()
st.html("<h1>Access</h1>")
accounts, collections, keys, events = st.tabs(["Accounts", "Collections", "REST keys", "Audit"])
with accounts:
    draw_accounts(bridge)
with collections:
    draw_collections(bridge)
with keys:
    draw_keys(bridge)
with events:
    draw_events(bridge)
