"""Accounts: a table, and what an administrator does with them."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.bridge import Bridge
from app.messages import shown_errors
from app.text import plain
from engine.access.accounts import Account
from engine.access.passwords import LONGEST, SHORTEST
from engine.access.principal import ROLES, Role


def draw_accounts(bridge: Bridge) -> None:
    """Who can come in, and as what."""
    with shown_errors():
        place = st.container()
        with st.container(horizontal=True):
            with st.popover("Add an account", icon=":material/person_add:", key="account-add"):
                _draw_add(bridge)
            changing = st.popover(
                "Change an account", icon=":material/manage_accounts:", key="account-change"
            )
        known = bridge.call(lambda engine: engine.entrance.accounts.list())
        with changing:
            _draw_change(bridge, known)
        with place:
            _draw_table(bridge.call(lambda engine: engine.entrance.accounts.list()))


def _draw_table(known: Sequence[Account]) -> None:
    if not known:
        st.caption("There are no accounts yet.")
        return
    st.dataframe(
        {
            "Name": [account.name for account in known],
            "Role": [account.role.capitalize() for account in known],
            "Comes in by": [_way(account) for account in known],
            "State": ["Disabled" if account.disabled else "May come in" for account in known],
            "Last signed in (UTC)": [account.signed_in_at for account in known],
        },
        key="accounts",
        hide_index=True,
        column_config={
            "Last signed in (UTC)": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm", timezone="UTC")
        },
    )


def _way(account: Account) -> str:
    ways = ["Identity provider"] if account.provided else []
    return ", ".join([*ways, "Password"] if account.password else ways) or "REST keys only"


def _draw_add(bridge: Bridge) -> None:
    with st.form("account-add-form", border=False, clear_on_submit=True):
        name = st.text_input("Name", key="account-add-name", max_chars=100)
        role: Role = st.selectbox("Role", ROLES, format_func=str.capitalize, key="account-add-role")
        password = st.text_input(
            "Password",
            type="password",
            key="account-add-password",
            max_chars=LONGEST,
            autocomplete="new-password",
            help=f"At least {SHORTEST} characters. Empty: it comes by REST keys only.",
        )
        sent = st.form_submit_button("Add", type="primary", key="account-add-send")
    if sent:
        with shown_errors():
            bridge.call(lambda engine: engine.entrance.accounts.add(name, role, password or None))
            st.success(plain(f"{name} can come in as {role}."))


def _draw_change(bridge: Bridge, known: Sequence[Account]) -> None:
    by_name = {account.name: account for account in known}
    chosen = st.selectbox("Account", list(by_name), index=None, key="account-chosen", placeholder="Name")
    if chosen is None:
        return
    account = by_name[chosen]
    key = "account-change"
    role: Role = st.selectbox(
        "Role", ROLES, ROLES.index(account.role), format_func=str.capitalize, key=f"{key}-role-{chosen}"
    )
    with shown_errors():
        if st.button("Save the role", key=f"{key}-role-send", disabled=role == account.role):
            bridge.call(lambda engine: engine.entrance.accounts.set_role(chosen, role))
            st.success(plain(f"{chosen} is {role} now."))
        with st.form(f"{key}-password-form", border=False, clear_on_submit=True):
            password = st.text_input(
                "New password", type="password", key=f"{key}-password", max_chars=LONGEST,
                autocomplete="new-password", help="Ends its sign-ins and its lock.",
            )  # fmt: skip
            if st.form_submit_button("Set the password", key=f"{key}-password-send"):
                bridge.call(lambda engine: engine.entrance.accounts.set_password(chosen, password))
                st.success(plain(f"{chosen} has another password."))
        if account.disabled and st.button("Let it in again", key=f"{key}-enable"):
            bridge.call(lambda engine: engine.entrance.accounts.enable(chosen))
            st.success(plain(f"{chosen} may come in again, and needs new keys."))
        elif not account.disabled and st.button(
            "Disable",
            key=f"{key}-disable",
            help="Its sign-ins end and its keys are revoked; what it owns stays.",
        ):
            bridge.call(lambda engine: engine.entrance.accounts.disable(chosen))
            st.success(plain(f"{chosen} is let in no more."))
