"""The door of every page, with access control: who it is for, or how to sign in."""

from __future__ import annotations

import streamlit as st

from app.bridge import Bridge
from app.text import escape
from engine.access.principal import LOCAL, Principal
from engine.errors import NotSignedIn


def come_in(bridge: Bridge) -> Principal:
    """Whom this run is for; one who has not signed in is told how, and the run ends."""
    if not bridge.guarded:
        return LOCAL
    try:
        who = bridge.principal()
    except NotSignedIn:
        st.html('<p>Please <a href="/sign-in" target="_self">sign in</a> to go on.</p>')
        st.stop()
    st.html(
        f'<div class="account">{escape(who.name)} ({who.role}) · '
        '<a href="/sign-out" target="_self">Sign out</a></div>'
    )
    return who
