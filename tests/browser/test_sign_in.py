"""Signing in in a real browser: nothing without it, everything with it, nothing after it."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import ROOT

from .conftest import StartServer, Tab, show

PASSWORD = "correct horse battery"


def engine_command(environment: dict[str, str], *arguments: str, given: str = "") -> str:
    """`python -m engine …` on the server's database."""
    done = subprocess.run(
        [sys.executable, "-m", "engine", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def guarded(start_server: StartServer, database_url: str, home: object) -> Iterator[tuple[str, str]]:
    """A server with access control, and a reader's REST key."""
    database = {"DATABASE_URL": database_url, "DATABASE_SCHEMA": "sign_in", "DOSSIER_HOME": str(home)}
    for name, role in (("anna", "operator"), ("emma", "editor"), ("rita", "reader")):
        add = ("accounts", "add", name, "--role", role, "--password-stdin")
        engine_command(database, *add, given=f"{PASSWORD}\n")
    key = engine_command(database, "keys", "create", "anna", "--name", "tests", "--scope", "read")
    del database["DOSSIER_HOME"]
    with start_server(ACCESS_CONTROL="true", **database) as address:
        yield address, key


def test_in_with_a_password_through_a_reload_and_out_again(
    guarded: tuple[str, str], open_tab: Callable[..., Tab]
) -> None:
    address, _ = guarded
    tab = open_tab(f"{address}/documents")
    page = tab.page
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_label("Name").fill("anna")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not go together")
    page.get_by_label("Name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Documents")).to_be_visible()  # where he wanted to go
    expect(page.get_by_text("anna (operator)")).to_be_visible()
    (cookie,) = (c for c in page.context.cookies() if c["name"] == "dossier-sign-in")
    assert cookie["httpOnly"] and cookie["sameSite"] == "Lax"
    page.reload()
    expect(page.get_by_text("anna (operator)")).to_be_visible()
    # A file is made outside the page's run, and still for whoever asked for it.
    page.get_by_role("link", name="Rerankers", exact=True).click()
    page.get_by_test_id("stButtonGroup").get_by_text("Question sets", exact=True).click()
    page.get_by_role("button", name="Empty set").click()
    page.get_by_label("Name").fill("Anna's")
    page.get_by_role("button", name="Make it").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    assert download.value.suggested_filename == "Anna's.zip"
    page.get_by_role("link", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    # The cookie, put back, opens nothing any more.
    page.context.add_cookies([{"name": cookie["name"], "value": cookie["value"], "url": address}])
    page.goto(f"{address}/documents")
    expect(page.get_by_text("Please sign in")).to_be_visible()
    tab.complaints = [told for told in tab.complaints if "401" not in told]  # the wrong password's


def sign_in(page: Page, name: str) -> None:
    """Fill in the form that is open."""
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_a_chat_is_shared_by_a_link_and_no_longer(
    guarded: tuple[str, str], open_tab: Callable[..., Tab]
) -> None:
    address, _ = guarded
    owner, reader = open_tab(f"{address}/documents").page, open_tab(address).page
    sign_in(owner, "emma")
    meals = "# Travel policy\n\n## Meals\n\nMeals abroad are refunded up to 45 euros a day.\n"
    owner.set_input_files(
        "input[type=file]", {"name": "travel.md", "mimeType": "text/markdown", "buffer": meals.encode()}
    )
    expect(owner.get_by_text("1 file added")).to_be_visible()
    owner.get_by_role("link", name="Chat", exact=True).click()
    owner.get_by_test_id("stChatInputTextArea").fill("How much is refunded for meals abroad?")
    owner.keyboard.press("Enter")
    expect(owner.locator(".answer")).to_contain_text("45 euros")
    owner.get_by_role("button", name="Options").click()
    owner.get_by_role("button", name="Share").click()
    link = owner.get_by_test_id("stCode").inner_text().strip()
    assert link.startswith(f"{address}/?shared=")
    show(owner, "sharing")

    # Whoever has it signs in first, and is then where it leads.
    reader.goto(link)
    sign_in(reader, "rita")
    expect(reader.get_by_text("to be read only")).to_be_visible()
    expect(reader.locator(".answer")).to_contain_text("45 euros")
    expect(reader.locator(".passage mark")).to_contain_text("45 euros")
    expect(reader.get_by_test_id("stChatInputTextArea")).to_have_count(0)
    show(reader, "shared")
    owner.get_by_role("button", name="Stop sharing").click()
    expect(owner.get_by_role("button", name="Share")).to_be_visible()
    reader.reload()
    expect(reader.get_by_text("This link leads to no chat.")).to_be_visible()
    expect(reader.locator(".answer")).to_have_count(0)
    show(reader, "ended")


def test_routes_ask_for_a_key(guarded: tuple[str, str]) -> None:
    address, key = guarded
    for path, status in (("/api/documents", 401), ("/metrics", 401), ("/features", 401), ("/health", 200)):
        assert answered(address + path) == status
    assert answered(f"{address}/api/documents", Authorization=f"Bearer {key}") == 200
    assert answered(f"{address}/metrics", Authorization=f"Bearer {key}") == 403  # only reads


def answered(url: str, **headers: str) -> int:
    """The status that an address answers with."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
