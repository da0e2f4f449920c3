"""The door of every page, with access control: who it is for, or how to sign in."""

from __future__ import annotations

import streamlit as st

from app.bridge import Bridge
from app.sign_in import WITH_PROVIDER
from app.text import escape
from app.visitor import provider_is_set_up
from engine.access.principal import LOCAL, Principal
from engine.errors import NotSignedIn


def come_in(bridge: Bridge) -> Principal:
    """Whom this run is for; one who has not signed in is told how, and the run ends."""
    if not bridge.guarded:
        return LOCAL
    try:
        who = bridge.principal()
    except NotSignedIn:
        if provider_is_set_up():
            if WITH_PROVIDER in st.query_params:
                st.login()
            st.button("Sign in through your organisation", on_click=st.login)
        st.html('<p>Please <a href="/sign-in" target="_self">sign in</a> to go on.</p>')
        st.stop()
    st.html(
        f'<div class="account">{escape(who.name)} ({who.role}) · '
        '<a href="/sign-out" target="_self">Sign out</a></div>'
    )
    return who
