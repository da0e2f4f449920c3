"""Signing in through an identity provider in a real browser; the provider is a server of the tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.app_server import free_port
from tests.oidc_server import CLIENT_ID, CLIENT_SECRET, OIDCServer

from .conftest import StartServer, Tab, show
from .test_sign_in import PASSWORD, engine_command, sign_in

PEOPLE = {
    "anna": {"sub": "1", "email": "anna@example.org", "email_verified": True, "preferred_username": "Anna"},
    "mallory": {"sub": "2", "email": "mallory@evil.test", "email_verified": True},
}
THROUGH = "Sign in through your organisation"
MEALS = "# Travel policy\n\n## Meals\n\nMeals abroad are refunded up to 45 euros a day.\n"

Provided = tuple[str, OIDCServer]


@pytest.fixture(scope="module")
def provided(
    start_server: StartServer, database_url: str, home: object, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Provided]:
    """A server that takes in editors of example.org through a provider, and one account with a password."""
    database = {"DATABASE_URL": database_url, "DATABASE_SCHEMA": "provider", "DOSSIER_HOME": str(home)}
    add = ("accounts", "add", "root", "--role", "admin", "--password-stdin")
    engine_command(database, *add, given=f"{PASSWORD}\n")
    del database["DOSSIER_HOME"]
    port, own_home = free_port(), tmp_path_factory.mktemp("home")  # Streamlit looks into ~/.streamlit too
    with OIDCServer(PEOPLE) as provider:
        write_secrets(own_home / ".streamlit", port, provider.address)
        with start_server(
            port=port,
            ACCESS_CONTROL="true",
            PROVIDED_ROLE="editor",
            PROVIDED_TO="example.org",
            HOME=str(own_home),
            **database,
        ) as address:
            yield address, provider


def write_secrets(folder: Path, port: int, provider: str) -> None:
    """The configuration of docs/deployment.md, with this provider's address."""
    folder.mkdir()
    (folder / "secrets.toml").write_text(
        "[auth]\n"
        f'redirect_uri = "http://127.0.0.1:{port}/oauth2callback"\n'
        'cookie_secret = "a long random text of the tests"\n'
        f'client_id = "{CLIENT_ID}"\n'
        f'client_secret = "{CLIENT_SECRET}"\n'
        f'server_metadata_url = "{provider}/.well-known/openid-configuration"\n'
    )


@pytest.fixture
def open_page(provided: Provided, open_tab: Callable[..., Tab]) -> Iterator[Callable[[str], Page]]:
    """Opens an address; asking the provider is no asking of strangers, nor is a refusal a complaint."""
    tabs: list[Tab] = []
    theirs = provided[1].address

    def opened(path: str) -> Page:
        tabs.append(open_tab(provided[0] + path))
        return tabs[-1].page

    yield opened
    for tab in tabs:
        tab.strangers = [url for url in tab.strangers if not url.startswith(theirs)]
        expected = re.compile(rf"\b(401|403|503)\b|{re.escape(theirs)}")
        tab.complaints = [told for told in tab.complaints if not expected.search(told)]


def come(page: Page, person: str) -> None:
    page.get_by_role("link", name=THROUGH).click()
    expect(page.get_by_role("heading", name="Who are you?")).to_be_visible()
    page.get_by_role("link", name=person).click()


def test_in_through_the_provider_and_out_again(provided: Provided, open_page: Callable[[str], Page]) -> None:
    address, provider = provided
    page = open_page("/documents")
    show(page, "provider-form")
    come(page, "anna")
    expect(page.get_by_role("heading", name="Documents")).to_be_visible()  # where she wanted to go
    expect(page.get_by_text("anna (editor)")).to_be_visible()
    page.set_input_files(
        "input[type=file]", {"name": "travel.md", "mimeType": "text/markdown", "buffer": MEALS.encode()}
    )
    expect(page.get_by_text("1 file added")).to_be_visible()
    page.get_by_role("link", name="Chat", exact=True).click()
    page.get_by_test_id("stChatInputTextArea").fill("How much is refunded for meals abroad?")
    page.keyboard.press("Enter")
    expect(page.locator(".answer")).to_contain_text("45 euros")
    kept = page.context.cookies()
    assert all(cookie["httpOnly"] for cookie in kept if "user" in cookie["name"] or "sign" in cookie["name"])
    page.goto(f"{address}/documents")
    page.get_by_role("link", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert provider.signed_out == 1
    # Everything that the browser had, put back, opens nothing any more.
    page.context.add_cookies([{"name": c["name"], "value": c["value"], "url": address} for c in kept])  # type: ignore[typeddict-item]
    page.goto(f"{address}/documents")
    expect(page.get_by_text("Please sign in")).to_be_visible()
    page.goto(f"{address}/oauth2callback?code=guessed&state=guessed")
    expect(page.get_by_role("alert")).to_contain_text("did not work")
    come(page, "anna")
    expect(page.get_by_text("anna (editor)")).to_be_visible()


def test_one_whom_the_settings_do_not_name_is_told_what_to_do(open_page: Callable[[str], Page]) -> None:
    page = open_page("/")
    come(page, "mallory")
    expect(page.get_by_role("alert")).to_contain_text("mallory@evil.test is not among those")
    expect(page.get_by_role("alert")).to_contain_text("Ask an administrator")
    show(page, "provider-refused")
    page.goto(page.url.split("/oauth2callback")[0] + "/documents")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    come(page, "nobody")
    expect(page.get_by_role("alert")).to_contain_text("did not let you in")


def test_a_forged_token_lets_nobody_in(provided: Provided, open_page: Callable[[str], Page]) -> None:
    provided[1].forges = True
    try:
        page = open_page("/")
        come(page, "anna")
        expect(page.get_by_role("alert")).to_contain_text("did not work")
        assert not any(cookie["name"] == "dossier-sign-in" for cookie in page.context.cookies())
    finally:
        provided[1].forges = False


def test_without_the_provider_a_password_still_opens(
    provided: Provided, open_page: Callable[[str], Page]
) -> None:
    """The last one: the provider does not come back."""
    provided[1].__exit__(None, None, None)
    page = open_page("/documents")
    page.get_by_role("link", name=THROUGH).click()
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    show(page, "provider-down")
    sign_in(page, "root")
    expect(page.get_by_text("root (admin)")).to_be_visible()
    expect(page.get_by_role("heading", name="Documents")).to_be_visible()
