"""The app as a person meets it: its own server process, and Chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.app_server import running_app

expect.set_options(timeout=20_000)  # a busy machine is slow to draw, and to send what draws

_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

StartServer = Callable[..., AbstractContextManager[str]]


@dataclass
class Tab:
    """A page, and what it must not do: complain on the console, or ask another host."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def close(self) -> None:
        """Leave the page, and check its conduct."""
        self.page.context.close()
        assert self.strangers == []
        assert self.complaints == []


def show(page: Page, name: str) -> None:
    """Keep a picture where one is asked for, to be looked at."""
    if folder := os.environ.get("DOSSIER_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


@pytest.fixture(scope="module")  # while Playwright is open, this thread can run no loop for other tests
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def start_server(home: Path, tmp_path_factory: pytest.TempPathFactory) -> StartServer:
    """Runs the app with an empty corpus: ``with start_server(OPENAI_MODEL=…) as address``."""

    @contextmanager
    def started(*, port: int | None = None, **environment: str) -> Iterator[str]:
        own = tmp_path_factory.mktemp("browser")
        with running_app(home / "models", own, port=port, **environment) as app:
            yield app.address

    return started


@pytest.fixture
def open_tab(browser: Browser) -> Iterator[Callable[..., Tab]]:
    """Opens an address in a context of its own; what it did wrong fails the test in the end."""
    tabs: list[Tab] = []

    def opened(address: str, width: int = 1280, height: int = 900, dark: bool = False) -> Tab:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        tab = Tab(context.new_page())
        tabs.append(tab)
        own = address.split("/")[2]

        def look(url: str) -> None:
            if url.split(":")[0] in ("http", "https", "ws", "wss") and url.split("/")[2] != own:
                tab.strangers.append(url)

        tab.page.on("request", lambda request: look(request.url))
        tab.page.on("websocket", lambda socket: look(socket.url))
        tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))

        def listen(message: ConsoleMessage) -> None:
            # Opened at a page's own address, Streamlit first tries whether it is served below that.
            if message.type == "error" and "/_stcore/" not in message.location["url"]:
                tab.complaints.append(f"{message.text} {message.location['url']}")

        tab.page.on("console", listen)
        tab.page.set_default_timeout(20_000)
        tab.page.goto(address)
        return tab

    yield opened
    for tab in tabs:
        tab.close()
