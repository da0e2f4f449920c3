"""In a real browser: add documents, ask, look at the evidence, stop, and come back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect
from streamlit.proto.BackMsg_pb2 import BackMsg

from tests.openai_server import OpenAIServer, Reply

from .conftest import StartServer, Tab

VIETNAMESE = "procurement-vi/luat-57-2024-qh15.docx"
ENGLISH = "manuals-en/fhs-3.0.pdf"
SLOW = Reply("The slow answer " + "goes on and on " * 200, delay_between=0.05)
UPLOAD_MS = 240_000

OpenTab = Callable[..., Tab]


@pytest.fixture(scope="module")
def address(start_server: StartServer, shared_data: Path, browser: object) -> Iterator[str]:
    """The app without a language model."""
    with start_server() as address:
        yield address


def idle(page: Page) -> None:
    """Wait until the script of the page has run."""
    expect(page.locator("[data-testid=stApp][data-test-script-state=running]")).to_have_count(0)


def upload(page: Page, *files: Path) -> None:
    page.set_input_files("input[type=file]", files)
    expect(page.locator(".st-key-upload-result")).to_contain_text(f"{len(files)} file", timeout=UPLOAD_MS)


def ask(page: Page, question: str) -> None:
    page.get_by_test_id("stChatInputTextArea").fill(question)
    page.keyboard.press("Enter")
    expect(page.locator(".question").last).to_have_text(question)


ANSWERED = "[class*='st-key-actions-'], .fresh .actions"
SOURCES = "[class*='st-key-source-'], .fresh .sources"


def answered(page: Page, turns: int) -> None:
    """Wait until the page shows so many whole answers."""
    expect(page.locator(ANSWERED)).to_have_count(turns)


def open_source(page: Page, turns: int) -> None:
    """Once there are so many answers, open the best source of the last one."""
    answered(page, turns)
    idle(page)
    page.locator(SOURCES).last.locator("button").first.click()
    expect(page.locator(".fresh")).to_have_count(0)
    idle(page)


def test_from_documents_to_evidence(address: str, open_tab: OpenTab, shared_data: Path) -> None:
    tab = open_tab(f"{address}/documents")
    upload(tab.page, shared_data / VIETNAMESE, shared_data / ENGLISH)

    tab.page.get_by_role("link", name="Chat", exact=True).click()
    ask(tab.page, "Thời gian chuẩn bị hồ sơ dự thầu tối thiểu là bao nhiêu ngày?")
    open_source(tab.page, 1)
    mark = tab.page.locator("mark").first
    expect(mark).to_contain_text("tối thiểu là 18 ngày")
    expect(tab.page.locator(".answer").last).to_contain_text(mark.inner_text())
    expect(tab.page).to_have_url(re.compile(r"session=[0-9a-f-]{36}"))

    ask(tab.page, "What is the purpose of /usr/local?")
    open_source(tab.page, 2)
    expect(tab.page.locator("mark", has_text="for use by the system administrator")).to_be_in_viewport()
    drawn = tab.page.get_by_role("img", name=re.compile("the place is marked"))
    expect(drawn).to_be_visible()
    assert drawn.evaluate("image => image.naturalWidth") > 300

    # The address alone brings all of it back.
    again = open_tab(tab.page.url)
    expect(again.page.locator(".question")).to_have_count(2)
    expect(again.page.locator(".answer").first).to_contain_text("tối thiểu là 18 ngày")

    narrow = open_tab(tab.page.url, width=390, height=844)
    open_source(narrow.page, 2)
    expect(narrow.page.locator("mark", has_text="for use by the system administrator")).to_be_in_viewport()
    assert narrow.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    ask(narrow.page, "What is /opt reserved for?")
    answered(narrow.page, 3)
    assert narrow.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    open_source(narrow.page, 3)
    expect(narrow.page.locator("mark", has_text="/opt is reserved for").first).to_be_in_viewport()

    narrow.page.get_by_role("link", name="Open the document").last.click()
    expect(narrow.page).to_have_url(re.compile(r"/documents\?doc=\d+"))
    expect(narrow.page.get_by_text("Filesystem Hierarchy Standard").first).to_be_visible()
    expect(narrow.page.locator(".passage.wanted")).to_be_in_viewport()
    narrow.page.go_back()
    narrow.page.get_by_role("link", name="Open the document").last.click()
    expect(narrow.page.locator(".passage.wanted")).to_be_in_viewport()


def test_evidence_comes_into_view_however_long_its_page_takes(
    address: str, open_tab: OpenTab, shared_data: Path
) -> None:
    page = open_tab(f"{address}/documents").page
    upload(page, shared_data / ENGLISH)
    page.get_by_role("link", name="Chat", exact=True).click()
    ask(page, "What is the purpose of /usr/local?")
    answered(page, 1)
    expect(page).to_have_url(re.compile("session="))

    page.set_viewport_size({"width": 390, "height": 844})
    sent: list[str | bytes] = []
    held = False

    def pass_on(socket: WebSocketRoute) -> None:
        def deliver(message: str | bytes) -> None:
            sent.append(message) if held else socket.send(message)

        sockets.append(socket)
        socket.connect_to_server().on_message(deliver)

    sockets: list[WebSocketRoute] = []
    page.route_web_socket(re.compile("/_stcore/stream"), pass_on)
    page.reload()
    answered(page, 1)
    idle(page)
    held = True
    page.locator(SOURCES).last.locator("button").nth(1).click()
    page.wait_for_timeout(1500)  # what a busy server may take
    held = False
    for message in sent:
        sockets[-1].send(message)
    expect(page.locator(".evidence-head .number")).to_have_text("2")
    expect(page.locator("mark")).to_be_in_viewport()
    expect(page.locator(".evidence-head")).to_be_in_viewport(ratio=1)


def test_asking_runs_no_page_and_leaves_a_chat_like_any_other(address: str, open_tab: OpenTab) -> None:
    page = open_tab(address).page
    expect(page.locator(".live")).to_be_attached()  # or this first page's run may be counted too
    idle(page)
    runs: list[BackMsg] = []

    def note(frame: str | bytes) -> None:
        message = BackMsg.FromString(frame if isinstance(frame, bytes) else frame.encode())
        if message.WhichOneof("type") == "rerun_script":
            runs.append(message)

    page.on("websocket", lambda socket: socket.on("framesent", note))
    page.reload()
    expect(page.locator(".live")).to_be_attached()
    idle(page)
    assert len(runs) == 1
    for turns, question in enumerate(("What does /opt hold?", "And what does /srv hold?"), start=1):
        ask(page, question)
        answered(page, turns)
    assert len(runs) == 1
    expect(page).to_have_url(re.compile(r"session=[0-9a-f-]{36}"))
    expect(page.locator(".begun")).to_have_text("What does /opt hold?")

    page.get_by_role("button", name="Bad answer").last.click()
    page.get_by_placeholder("What was wrong?").fill("too long")
    page.keyboard.press("Enter")
    idle(page)
    page.get_by_role("link", name="New chat").click()
    expect(page.locator(".question")).to_have_count(0)
    expect(page).not_to_have_url(re.compile("session"))
    page.get_by_role("link", name="What does /opt hold?").click()
    answered(page, 2)
    expect(page.locator("[class*='st-key-why-'] input")).to_have_value("too long")


def test_stop_keeps_what_was_written(
    start_server: StartServer, open_tab: OpenTab, tmp_path: Path, browser: object
) -> None:
    note = tmp_path / "meals.md"
    note.write_text("# Travel policy\n\nMeals abroad are refunded up to 45 euros a day.\n")
    with OpenAIServer() as model, start_server(OPENAI_API_KEY="test", OPENAI_BASE_URL=model.url) as address:
        model.default = SLOW
        tab = open_tab(f"{address}/documents")
        upload(tab.page, note)
        tab.page.get_by_role("link", name="Chat", exact=True).click()
        for answers, how in enumerate(("Stop", "Escape", "Regenerate"), start=1):
            if how == "Regenerate":  # by a run of the page
                tab.page.get_by_role("button", name=how).click()
                expect(tab.page.locator(".stage")).to_be_visible()
            else:
                ask(tab.page, f"How much is refunded for meals abroad ({how})?")
                expect(tab.page.locator(".answer")).to_have_count(answers)  # the one before says it, too
            expect(tab.page.locator(".answer").last).to_contain_text("slow answer goes on")
            if how == "Escape":
                tab.page.get_by_test_id("stChatInputTextArea").press("Escape")
            else:
                tab.page.get_by_role("button", name="Stop", exact=True).last.click()
            expect(tab.page.get_by_text(re.compile("^Stopped")).last).to_be_visible()
            expect(tab.page.locator(".answer").last).to_contain_text("slow answer goes on")
            idle(tab.page)
            asked = tab.page.locator(".question").count()
            if how != "Regenerate":  # a run of the page goes on by itself
                tab.page.get_by_role("button", name="Go on").click()
            expect(tab.page.locator(".hint").last).to_contain_text("Stopped")
            expect(tab.page.locator(".question")).to_have_count(asked)
            again = open_tab(tab.page.url)
            expect(again.page.locator(".question").last).to_contain_text("meals abroad")
            kept = again.page.locator(".answer").last
            expect(kept).to_contain_text("slow answer goes on")
            assert len(kept.inner_text()) < len(SLOW.text)
            expect(again.page.locator(".hint").last).to_contain_text("Stopped")
            again.close()
            tab.page.reload()
            idle(tab.page)
        tab.close()
