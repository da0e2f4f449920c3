"""In a real browser: what documents, models and people write stays text, everywhere that it is shown."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
import unicodedata
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Page, expect

from engine.text.normalisation import normalise
from tests.conftest import ROOT
from tests.openai_server import OpenAIServer, Reply
from tests.security.payloads import CANARY, PAYLOADS

from .conftest import StartServer
from .test_ask import answered, idle

TEXTS = list(PAYLOADS.values())
GROUPS = [TEXTS[n : n + 8] for n in range(0, len(TEXTS), 8)]
TOPIC = "Meals abroad are refunded up to 45 euros a day."
expect.set_options(timeout=30_000)
# What no text of theirs may have become. Streamlit's own pictures and links are of this server.
FOREIGN = """() => {
  const found = [];
  for (const e of document.querySelectorAll("*")) {
    for (const a of e.attributes) if (/^on/i.test(a.name)) found.push(e.outerHTML.slice(0, 200));
    if (e.matches("iframe, object, embed, base, meta[http-equiv], math, form[action], svg a, mglyph"))
      found.push(e.outerHTML.slice(0, 200));
    for (const name of ["src", "srcset", "href", "action", "data", "poster", "xlink:href"]) {
      const value = e.getAttribute(name);
      if (value && /evil|^\\s*javascript:|^\\s*data:text/i.test(value)) found.push(e.outerHTML.slice(0, 200));
    }
  }
  for (const s of document.querySelectorAll("[data-testid=stHtml] script"))
    if (s.textContent || !s.src.startsWith(`${location.origin}/scripts/`))
      found.push(s.outerHTML.slice(0, 200));
  return found;
}"""


@dataclass
class Watched:
    """A tab in which every dialog, request and complaint is written down."""

    page: Page
    asked: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Nothing has run, nothing has been fetched, nothing has become an element."""
        idle(self.page)
        assert (self.asked, self.strangers, self.complaints) == ([], [], [])
        assert self.page.evaluate(FOREIGN) == []


@dataclass
class Corpus:
    """A running app full of payloads. documents: ids. session: of a chat with them in every place."""

    address: str
    model: OpenAIServer
    documents: list[int]
    session: str


def call(address: str, path: str, body: object | None = None, method: str = "") -> Any:
    """The REST API, as a program uses it."""
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        address + path, content, {"Content-Type": "application/json"}, method=method or None
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"null")


def upload(address: str, files: Sequence[tuple[str, str]]) -> list[int]:
    """Ids of the documents made of (name, text)."""
    parts = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="'
        + name.replace("\\", "").replace('"', "%22").encode()
        + b'"\r\n\r\n'
        + text.encode("utf-8", "replace")
        + b"\r\n"
        for name, text in files
    )
    request = urllib.request.Request(
        f"{address}/api/documents", parts + b"--x--\r\n", {"Content-Type": "multipart/form-data; boundary=x"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        job = json.loads(answer.read())
    while not job["finished"]:
        time.sleep(0.1)
        job = call(address, f"/api/jobs/{job['id']}")
    assert [f["message"] for f in job["files"] if f["document_id"] is None] == []
    return [f["document_id"] for f in job["files"]]


def file_name(text: str) -> str:
    """A payload as an honest system lets a file be called."""
    kept = "".join(c for c in text if unicodedata.category(c) != "Cc" and c not in '/\\"')
    return f"{kept[:80]}.md"


@pytest.fixture(scope="module")
def corpus(start_server: StartServer, browser: Browser) -> Iterator[Corpus]:
    with OpenAIServer() as model, start_server(OPENAI_API_KEY="test", OPENAI_BASE_URL=model.url) as address:
        documents = upload(
            address, [(file_name(g[0]), f"# {g[0]}\n\n{TOPIC}\n\n" + "\n\n".join(g)) for g in GROUPS]
        )
        for id, group in zip(documents, GROUPS, strict=True):
            words = [normalise(text)[:40] for text in group if normalise(text)]
            call(
                address, f"/api/documents/{id}", {"title": normalise(group[0])[:200], "tags": words}, "PATCH"
            )
        session = call(address, "/api/chat/sessions", {"title": normalise(TEXTS[0])[:80]})["id"]
        for group in GROUPS:
            model.default = Reply("\n\n".join(group) + "\n\nSo it is [1].")
            asked = f"How much is refunded for meals abroad? {group[1]}"
            call(address, f"/api/chat/sessions/{session}/messages", {"question": asked})
        for text in TEXTS[:12]:
            call(address, "/api/chat/sessions", {"title": normalise(text)[:80]})
        yield Corpus(address, model, documents, session)


@pytest.fixture
def watch(browser: Browser) -> Iterator[Callable[[str], Watched]]:
    """Opens an address; a request to another host, a dialog or an error fails the test in the end."""
    tabs: list[Watched] = []

    def opened(address: str) -> Watched:
        context = browser.new_context(viewport={"width": 1400, "height": 1000})
        tab = Watched(context.new_page())
        tabs.append(tab)
        own = address.split("/")[2]

        def look(url: str) -> None:
            if url.split(":")[0] not in ("data", "blob") and url.split("/")[2] != own:
                tab.strangers.append(url)

        def dismiss(dialog: Dialog) -> None:
            tab.asked.append(dialog.message)
            dialog.dismiss()

        context.on("request", lambda request: look(request.url))
        context.on("page", lambda page: tab.strangers.append(page.url) if page is not tab.page else None)
        tab.page.on("websocket", lambda websocket: look(websocket.url))
        tab.page.on("dialog", dismiss)
        tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
        tab.page.on(
            "console",
            lambda m: tab.complaints.append(m.text) if "Content Security Policy" in m.text else None,
        )
        tab.page.set_default_timeout(30_000)
        tab.page.goto(address)
        return tab

    yield opened
    for tab in tabs:
        tab.page.context.close()


def test_answers_questions_and_sources_are_shown_as_text(
    corpus: Corpus, watch: Callable[[str], Watched]
) -> None:
    tab = watch(f"{corpus.address}/?session={corpus.session}")
    page = tab.page
    expect(page.locator(".answer")).to_have_count(len(GROUPS))
    tab.check()
    shown = page.locator(".question").all_inner_texts()
    for group, question in zip(GROUPS, shown, strict=True):
        assert normalise(question) == normalise(f"How much is refunded for meals abroad? {group[1]}")
    # Markdown is read in an answer, HTML never: its characters are all there to be seen.
    answers = " ".join(page.locator(".answer").all_inner_texts())
    for text in ("<script>alert('pwned')</script>", "<svg onload=alert(1)>", "<img src=x onerror=alert(1)>"):
        assert text in answers, text
    assert page.locator(".answer img, .answer a:not(.cite)").count() == 0

    # Every source opened, the receipt, and the menu with the title and the export.
    for turn in page.locator("[class*='st-key-source-']").all()[-3:]:
        turn.locator("button").first.click()
        tab.check()
    passages = page.locator(".passage .cited").all_inner_texts()
    assert any("<" in passage for passage in passages)
    page.get_by_role("button", name="Receipt").last.click()
    expect(page.locator(".receipt")).to_be_visible()
    tab.check()
    page.keyboard.press("Escape")
    page.locator(".st-key-session-menu button").first.click()
    expect(page.get_by_label("Title")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as Markdown").click()
    exported = Path(download.value.path()).read_text(encoding="utf-8")
    assert re.search(r"(?<!\\)(?:<(?:script|img|svg)|!\[)|\]\(", exported) is None
    tab.check()


def test_an_answer_being_written_is_text_at_every_moment(
    corpus: Corpus, watch: Callable[[str], Watched]
) -> None:
    text = "\n\n".join(TEXTS[:12])
    corpus.model.default = Reply(
        text, pieces=[text[n : n + 7] for n in range(0, len(text), 7)], delay_between=0.01
    )
    tab = watch(f"{corpus.address}/")
    tab.check()
    tab.page.get_by_test_id("stChatInputTextArea").fill(f"How much is refunded? {TEXTS[3]}")
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator(".answer").last).to_contain_text("<script>")
    tab.check()
    answered(tab.page, 1)
    tab.check()
    tab.page.get_by_role("button", name="Receipt").click()  # drawn by a run of the page from here on
    expect(tab.page.locator(".receipt")).to_be_visible()
    expect(tab.page.locator(".fresh")).to_have_count(0)
    tab.check()


def test_a_link_asks_before_it_leads_out(corpus: Corpus, watch: Callable[[str], Watched]) -> None:
    tab = watch(f"{corpus.address}/?session={corpus.session}")
    expect(tab.page.locator(".answer").first).to_be_visible()
    tab.check()
    link = tab.page.locator(f".outside[data-address='https://{CANARY}/link']").first
    link.click()
    assert len(tab.asked) == 1 and f"https://{CANARY}/link" in tab.asked[0]
    link.press("Enter")
    assert len(tab.asked) == 2
    assert tab.strangers == []


def test_titles_tags_and_file_names_are_shown_as_text(
    corpus: Corpus, watch: Callable[[str], Watched]
) -> None:
    tab = watch(f"{corpus.address}/documents")
    expect(tab.page.get_by_test_id("stDataFrame")).to_be_visible()
    tab.check()
    tab.page.locator(".st-key-list-filters button").first.click()
    tab.page.get_by_label("Tag").last.click()
    tab.check()
    for id, text in list(zip(corpus.documents, TEXTS[::8], strict=True))[::3]:
        tab.page.goto(f"{corpus.address}/documents?doc={id}")
        title = tab.page.locator("[data-testid=stHtml] h1")
        expect(title).to_be_visible()
        assert normalise(title.inner_text()) == normalise(normalise(text)[:200])
        tab.check()
    tab.page.goto(f"{corpus.address}/operations")
    expect(tab.page.get_by_test_id("stDataFrame").first).to_be_visible()
    tab.check()


def test_a_stored_file_is_kept_not_shown(corpus: Corpus, watch: Callable[[str], Watched]) -> None:
    page_of_theirs = f"<html><body><p>{TOPIC} Once more.</p><script>alert(1)</script></body></html>"
    [id] = upload(corpus.address, [("page.html", page_of_theirs)])
    tab = watch(f"{corpus.address}/documents?doc={id}")
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Download").click()
    assert Path(download.value.path()).read_text() == page_of_theirs
    tab.check()
    with urllib.request.urlopen(download.value.url) as answer:
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert "sandbox" in answer.headers["Content-Security-Policy"]


CHARTS = """
import pandas, plotly.graph_objects as go, streamlit as st
figure = go.Figure([go.Scatter(x=[1, 2], y=[1, 2]), go.Bar(x=[1, 2], y=[2, 1])])
st.plotly_chart(figure)
st.plotly_chart(go.Figure(go.Heatmap(z=[[1, 2], [3, 4]])))
st.dataframe(pandas.DataFrame({"a": [1, 2]}))
st.html("<p id='ready'>ready</p><script>alert(1)</script>", unsafe_allow_javascript=True)
"""
SHIELDED = """
import streamlit as st
from starlette.middleware import Middleware
from app.shield import Shield
app = st.App({script!r}, middleware=[Middleware(Shield, allowed=lambda: "")])
"""


def test_charts_work_under_the_policy_and_scripts_of_others_do_not(
    browser: Browser, watch: Callable[[str], Watched], tmp_path: Path
) -> None:
    (tmp_path / "charts.py").write_text(CHARTS)
    (tmp_path / "shielded.py").write_text(SHIELDED.format(script=str(tmp_path / "charts.py")))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "shielded:app", "--port", str(port), "--app-dir", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        tab = watch(f"http://127.0.0.1:{port}/")
        expect(tab.page.locator("#ready")).to_be_visible()
        expect(tab.page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
        assert tab.page.locator(".js-plotly-plot").count() == 2
        expect(tab.page.locator(".scatterlayer path").first).to_be_attached()
        expect(tab.page.get_by_test_id("stDataFrame")).to_be_visible()
        assert tab.asked == [] and tab.strangers == []
        # The one thing that complains is the script that nobody knows.
        assert len(tab.complaints) == 1 and "inline script" in tab.complaints[0]
    finally:
        server.terminate()
        server.wait(20)
