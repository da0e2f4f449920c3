"""Text of documents, models and people is shown as it is, whatever is in it."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text import counted, marked, plain, short, size


@pytest.mark.parametrize(
    "text",
    [
        "**bold**",
        "![x](http://evil.example/x.png)",
        "<b>",
        "$x^2$",
        ":red[blood]",
        "`code`",
        "a_b_c",
        "[1]",
        "# x",
    ],
)
def test_a_label_shows_markup_as_text(text: str) -> None:
    label = plain(text)
    assert not set("*![]()<>$`_") & set(label)
    assert html.unescape(label) == text


@pytest.mark.parametrize("text", [":material/home:", ":smile:", "at 10:30:45"])
def test_a_label_makes_no_icons_of_words_between_colons(text: str) -> None:
    shown = html.unescape(plain(text))
    assert text not in shown
    assert shown.replace("\N{WORD JOINER}", "") == text


def test_vietnamese_survives_in_a_label() -> None:
    assert plain("Luật Đấu thầu số 22/2023/QH15") == "Luật Đấu thầu số 22/2023/QH15"


@given(st.text(), st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50))))
def test_highlighting_loses_nothing_and_lets_no_markup_through(
    text: str, spans: list[tuple[int, int]]
) -> None:
    shown = marked(text, spans)
    assert html.unescape(shown.replace("<mark>", "").replace("</mark>", "")) == html.unescape(
        html.escape(text)
    )
    assert shown.count("<") == shown.count("<mark>") + shown.count("</mark>")


def test_each_cited_sentence_is_highlighted_once() -> None:
    assert (
        marked("One. Two. <3>.", [(5, 9), (0, 4), (5, 9)]) == "<mark>One.</mark> <mark>Two.</mark> &lt;3&gt;."
    )


def test_a_long_title_is_cut_at_a_word() -> None:
    assert short("Filesystem Hierarchy Standard", 25) == "Filesystem Hierarchy…"
    assert short("short", 25) == "short"
    assert len(short("x" * 100, 25)) <= 25


def test_amounts_are_told_for_people() -> None:
    assert [size(5), size(1500), size(73_000), size(2_500_000_000)] == ["5 B", "1.5 kB", "73 kB", "2.5 GB"]
    assert [counted(1, "file"), counted(2000, "file")] == ["1 file", "2,000 files"]
