"""What a person sees while a server that Dossier depends on fails under the page, and afterwards."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import StartServer, Tab
from tests.browser.test_ask import ANSWERED, ask, idle, upload
from tests.openai_server import OpenAIServer, Reply
from tests.redis_server import RedisServer, binaries, running
from tests.storage import pgbouncer

OpenTab = Callable[..., Tab]
POLICY = "# Travel policy\n\nMeals abroad are refunded up to 45 euros a day.\n\nTrains are second class.\n"
MEALS = "How much is refunded for meals abroad?"
TRAINS = "Which class are trains?"
RECOVERY_MS = 90_000


@dataclass(frozen=True)
class Running:
    """The app, and what it depends on."""

    address: str
    home: Path
    redis: RedisServer
    model: OpenAIServer


@pytest.fixture(scope="module")
def app(
    database_url: str,  # of another test here: it can be started only before the browser is
    start_server: StartServer,
    home: Path,
    tmp_path_factory: pytest.TempPathFactory,
    browser: object,
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("degraded")
    own = folder / "home"
    own.mkdir()
    (own / "models").symlink_to(home / "models")
    with OpenAIServer() as model, running(folder / "redis", binaries()["valkey"]) as redis:
        model.default = Reply("Up to 45 euros a day [1].")
        environment = {
            "DOSSIER_HOME": str(own),
            "REDIS_URL": redis.url,
            "ENABLE_REDIS_CACHE": "true",
            "ENABLE_REDIS_SESSIONS": "true",
            "OPENAI_API_KEY": "test",
            "OPENAI_BASE_URL": model.url,
            "OPENAI_MODEL": "local",
        }
        with start_server(**environment) as address:
            yield Running(address, own, redis, model)


@pytest.fixture
def chat(app: Running, open_tab: OpenTab, tmp_path: Path) -> Page:
    """A chat with one answered question."""
    return begin(open_tab(f"{app.address}/documents").page, tmp_path)


def begin(page: Page, folder: Path) -> Page:
    (folder / "policy.md").write_text(POLICY)
    upload(page, folder / "policy.md")
    page.get_by_role("link", name="Chat", exact=True).click()
    ask(page, MEALS)
    answered(page, 1)
    expect(page.locator(".answer").last).to_contain_text("45 euros")
    return page


def answered(page: Page, turns: int) -> None:
    expect(page.locator(ANSWERED)).to_have_count(turns, timeout=RECOVERY_MS)
    idle(page)


def watch(operations: Page) -> Page:
    """The whole page at once: tables out of sight are not drawn."""
    operations.set_viewport_size({"width": 1400, "height": 5000})
    return operations


def cells(page: Page, words: str) -> Locator:
    """Of the operations page's tables; they are drawn, and written within the canvas for readers."""
    return page.locator("[data-testid=stDataFrame] canvas td", has_text=re.compile(words))


def told(page: Page, words: str) -> None:
    expect(cells(page, words).first).to_be_attached(timeout=RECOVERY_MS)


def test_without_redis_questions_are_answered_and_operators_are_told(
    app: Running, chat: Page, open_tab: OpenTab
) -> None:
    operations = watch(open_tab(f"{app.address}/operations").page)
    told(operations, "^Valkey")
    app.redis.stop()
    ask(chat, TRAINS)
    answered(chat, 2)
    expect(chat.get_by_role("alert")).to_have_count(0)
    told(operations, "L1 and L3 serve")
    told(operations, "PostgreSQL serves")
    chat.reload()
    answered(chat, 2)

    app.redis.start()
    expect(cells(operations, "L1 and L3 serve")).to_have_count(0, timeout=RECOVERY_MS)
    told(operations, "^Valkey")


def test_a_language_model_that_fails_leaves_quotes_and_says_so(app: Running, chat: Page) -> None:
    app.model.default = Reply(status=500)
    ask(chat, TRAINS)
    answered(chat, 2)
    answer = chat.locator(".answer").last
    expect(answer).to_contain_text("second class")
    expect(chat.locator("[data-testid=stMain]")).to_contain_text("language model")
    app.model.default = Reply("Trains are second class, as written [1].")
    ask(chat, "And which class are trains, again?")
    answered(chat, 3)
    expect(chat.locator(".answer").last).to_contain_text("as written", timeout=RECOVERY_MS)
    app.model.default = Reply("Up to 45 euros a day [1].")


def test_a_killed_database_loses_no_turn(app: Running, open_tab: OpenTab, tmp_path: Path) -> None:
    tab = open_tab(f"{app.address}/documents")
    chat = begin(tab.page, tmp_path)
    pid = int((app.home / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, signal.SIGKILL)
    ask(chat, TRAINS)
    again = chat.get_by_role("button", name="Try again")  # where it is away for longer than is waited
    whole = chat.locator(ANSWERED).nth(1)
    until = time.monotonic() + RECOVERY_MS / 1000
    while not whole.is_visible() and time.monotonic() < until:
        expect(whole.or_(again)).to_be_visible(timeout=RECOVERY_MS)
        if again.is_visible():
            again.click()
    answered(chat, 2)
    tab.complaints = [told for told in tab.complaints if "503" not in told]
    chat.reload()
    answered(chat, 2)
    expect(chat.locator(".answer").first).to_contain_text("45 euros")


def test_while_pgbouncer_is_away_the_page_says_so_and_then_goes_on(
    database_url: str, start_server: StartServer, open_tab: OpenTab, tmp_path: Path
) -> None:
    postgres = database_url.replace("+asyncpg", "")
    with pgbouncer.running(tmp_path / "pgbouncer", postgres) as bouncer:
        environment = {
            "DATABASE_URL": database_url,
            "DATABASE_SCHEMA": "behind_pgbouncer",
            "USE_PGBOUNCER": "true",
            "PGBOUNCER_URL": bouncer.url,
        }
        with start_server(**environment) as address:
            asking = open_tab(f"{address}/documents")
            page = begin(asking.page, tmp_path)
            bouncer.stop()
            page.get_by_test_id("stChatInputTextArea").fill(TRAINS)
            page.keyboard.press("Enter")
            expect(page.get_by_role("alert").first).to_contain_text("database", timeout=RECOVERY_MS)
            # A browser tells of every answer that is an error.
            assert all("503" in told and told.endswith("/chat/ask") for told in asking.complaints)
            asking.complaints.clear()
            watching = open_tab(f"{address}/operations")
            operations = watch(watching.page)
            told(operations, "not reachable")

            bouncer.start()
            told(operations, "^on$")
            page.reload()
            idle(page)
            expect(page.locator(".answer").first).to_contain_text("45 euros")
            ask(page, TRAINS)
            expect(page.locator(".answer").last).to_contain_text("second class", timeout=RECOVERY_MS)
            for tab in (asking, watching):
                tab.close()  # before the server does: a live page would complain
