"""In a real browser: import a set, measure, look at the charts, compare blindly, make the default."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.evaluation.conftest import QUESTIONS, documents, questions_on_documents

from .conftest import StartServer, Tab, show
from .test_ask import idle, upload

CHART_MS = 40_000  # the library is large, and loaded when the first chart is drawn

OpenTab = Callable[..., Tab]


@pytest.fixture(scope="module")
def address(start_server: StartServer, browser: object) -> Iterator[str]:
    with start_server(CHALLENGER_RERANKER="none", CHALLENGER_SHARE="1") as address:
        yield address


def view(page: Page, name: str) -> None:
    page.get_by_test_id("stButtonGroup").get_by_text(name, exact=True).click()
    idle(page)


def test_from_a_question_set_to_a_better_default(address: str, open_tab: OpenTab, tmp_path: Path) -> None:
    files = [tmp_path / file.file_name for file in documents()]
    for path, file in zip(files, documents(), strict=True):
        assert isinstance(file.content, bytes)
        path.write_bytes(file.content)
    questions = [tmp_path / name for name in ("queries.jsonl", "qrels.tsv")]
    for path, content in zip(questions, questions_on_documents().values(), strict=True):
        path.write_bytes(content)

    tab = open_tab(f"{address}/documents", height=2400)
    page = tab.page
    upload(page, *files)
    page.get_by_role("link", name="Rerankers", exact=True).click()
    expect(page.get_by_role("heading", name="Rerankers")).to_be_visible()

    # Side by side, by keyboard: Enter asks, Alt+1 votes.
    page.get_by_label("Question", exact=True).fill(next(iter(QUESTIONS)))
    page.keyboard.press("Enter")
    expect(page.locator(".ranking")).to_have_count(2)
    expect(page.get_by_test_id("stPlotlyChart")).to_be_visible(timeout=CHART_MS)
    idle(page)
    show(page, "one-question")
    page.keyboard.press("Alt+1")
    expect(page.get_by_text("Your vote is kept.")).to_be_visible()

    view(page, "Question sets")
    expect(page.get_by_text("There is no question set yet.")).to_be_visible()
    page.get_by_role("button", name="Import").first.click()
    page.set_input_files("input[type=file]", questions)
    page.get_by_test_id("stFormSubmitButton").get_by_role("button", name="Import").click()
    expect(page.get_by_text(re.compile("has 6 questions"))).to_be_visible()
    idle(page)
    show(page, "question-sets")

    view(page, "Runs")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("Against each other")).to_be_visible(timeout=60_000)
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(2, timeout=CHART_MS)
    idle(page)
    show(page, "runs")
    page.get_by_role("button", name="Make this the default…").click()
    show(page, "default")
    page.get_by_role("button", name=re.compile("^Make .* the default$")).click()
    expect(page.get_by_text(re.compile("in every process"))).to_be_visible()

    view(page, "Live")
    idle(page)
    show(page, "live")

    dark = open_tab(f"{address}/rerankers", dark=True, height=2400)
    view(dark.page, "Runs")
    expect(dark.page.get_by_test_id("stPlotlyChart").first).to_be_visible(timeout=CHART_MS)
    idle(dark.page)
    show(dark.page, "runs-dark")
    narrow = open_tab(f"{address}/rerankers", width=390, height=844)
    expect(narrow.page.get_by_role("heading", name="Rerankers")).to_be_visible()
    idle(narrow.page)
    show(narrow.page, "narrow")
    assert narrow.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
