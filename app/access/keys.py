"""REST keys: a table, making one and revoking one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from app.bridge import Bridge
from app.messages import shown_errors
from engine.access.keys import Key
from engine.access.principal import PERMISSIONS


def draw_keys(bridge: Bridge) -> None:
    """Keys of all accounts."""
    with shown_errors():
        place = st.container()
        with st.container(horizontal=True):
            with st.popover("Create a key", icon=":material/add:", key="key-create"):
                made = _draw_create(bridge)
            with st.popover("Revoke a key", icon=":material/block:", key="key-revoke"):
                _draw_revoke(bridge)
        if made:
            st.success("The new key. It is shown this once: keep it where secrets are kept.")
            st.code(made, language=None)
        with place:
            _draw_table(bridge.call(lambda engine: engine.entrance.keys.list()))


def _draw_table(known: Sequence[Key]) -> None:
    if not known:
        st.caption("There are no keys yet. Programs that use REST need one.")
        return
    st.dataframe(
        {
            "Number": [key.id for key in known],
            "Account": [key.account for key in known],
            "For": [key.name for key in known],
            "May": [", ".join(key.scopes) for key in known],
            "State": [_state(key) for key in known],
            "Ends (UTC)": [key.expires_at for key in known],
        },
        key="keys",
        hide_index=True,
        column_config={
            "Ends (UTC)": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm", timezone="UTC")
        },
    )


def _state(key: Key) -> str:
    if key.revoked_at is not None:
        return "Revoked"
    return "Ended" if key.expires_at is not None and key.expires_at <= datetime.now(UTC) else "In use"


def _draw_create(bridge: Bridge) -> str:
    """The key that was just made; empty where none was."""
    names = [account.name for account in bridge.call(lambda engine: engine.entrance.accounts.list())]
    with st.form("key-form", border=False, clear_on_submit=True):
        account = st.selectbox("Acts for", names, index=None, key="key-account", placeholder="Account")
        purpose = st.text_input("For", key="key-purpose", placeholder="Which program", max_chars=100)
        scopes = st.multiselect("May", PERMISSIONS, ["read"], key="key-scopes")
        days = st.number_input("Days until it ends", 1, 3650, 90, key="key-days")
        sent = st.form_submit_button("Create", type="primary", key="key-send")
    if not sent:
        return ""
    with shown_errors():
        return bridge.call(lambda engine: engine.entrance.keys.create(account or "", purpose, scopes, days))
    return ""


def _draw_revoke(bridge: Bridge) -> None:
    open_keys = {
        key.id: f"{key.id} · {key.account} · {key.name}"
        for key in bridge.call(lambda engine: engine.entrance.keys.list())
        if _state(key) == "In use"
    }
    chosen = st.selectbox(
        "Key",
        list(open_keys),
        index=None,
        format_func=open_keys.__getitem__,
        key="key-chosen",
        placeholder="Key",
    )
    if st.button("Revoke", key="key-revoke-send", disabled=chosen is None) and chosen is not None:
        with shown_errors():
            bridge.call(lambda engine: engine.entrance.keys.revoke(chosen))
            st.success(f"Key {chosen} is revoked.")
