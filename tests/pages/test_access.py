"""The Access page: who can come in, with which keys, who did what; an administrator's alone."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app.bridge import Bridge
from engine.errors import NotSignedIn

from .conftest import PASSWORD, OpenTab, SignIn


def access(tab: AppTest) -> AppTest:
    """The page, opened."""
    tab.switch_page("../pages/access.py").run()
    assert not tab.exception
    return tab


def test_an_administrator_adds_changes_and_disables_an_account(
    guarded: Bridge, come_as: SignIn, open_tab: OpenTab
) -> None:
    come_as("root")
    tab = access(open_tab())
    tab.text_input(key="account-add-name").set_value("Bình")
    tab.text_input(key="account-add-password").set_value("short")
    tab.button(key="account-add-send").click().run()
    assert "at least 10" in tab.error[0].value
    tab.text_input(key="account-add-name").set_value("Bình")
    tab.text_input(key="account-add-password").set_value(PASSWORD)
    tab.button(key="account-add-send").click().run()
    assert "bình" in list(tab.dataframe[0].value["Name"])
    tab.selectbox(key="account-chosen").select("bình").run()
    tab.selectbox(key="account-change-role-bình").select("editor").run()
    tab.button(key="account-change-role-send").click().run()
    tab.button(key="account-change-disable").click().run()
    row = tab.dataframe[0].value.set_index("Name").loc["bình"]
    assert (row["Role"], row["State"]) == ("Editor", "Disabled")
    with pytest.raises(NotSignedIn):
        come_as("bình")


def test_a_key_is_shown_once_and_revoked(guarded: Bridge, come_as: SignIn, open_tab: OpenTab) -> None:
    come_as("root")
    tab = access(open_tab())
    tab.selectbox(key="key-account").select("olga")
    tab.text_input(key="key-purpose").set_value("reports")
    tab.button(key="key-send").click().run()
    key = tab.code[0].value
    assert guarded.call(lambda engine: engine.entrance.sign_ins.of_key(key)).name == "olga"
    tab.run()
    assert not tab.code
    (number,) = tab.dataframe[2].value["Number"]  # after accounts and collections
    tab.selectbox(key="key-chosen").select(int(number)).run()
    tab.button(key="key-revoke-send").click().run()
    assert list(tab.dataframe[2].value["State"]) == ["Revoked"]
    with pytest.raises(NotSignedIn):
        guarded.call(lambda engine: engine.entrance.sign_ins.of_key(key))


def test_the_audit_is_read_only_when_asked_for(guarded: Bridge, come_as: SignIn, open_tab: OpenTab) -> None:
    come_as("root")
    tab = access(open_tab())
    for _ in range(2):
        tab.text_input(key="audit-action").set_value("read the audit")
        tab.button(key="audit-send").click().run()
        tab.run()
    (table,) = [frame.value for frame in tab.dataframe if "Action" in frame.value]
    assert list(table["Who"]) == ["root"]  # the first reading; drawing it again was none


def test_nobody_else_has_the_page(guarded: Bridge, come_as: SignIn, open_tab: OpenTab) -> None:
    come_as("olga")
    with pytest.raises(ValueError, match="Could not find"):
        open_tab().switch_page("../pages/access.py")
