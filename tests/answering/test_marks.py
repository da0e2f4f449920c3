"""Citation marks: every form a model writes becomes [n]; the text around them is left alone."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.answering.marks import MarkStream, find_marks, normalise_marks, remove_marks


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Due in May [1].", "Due in May [1]."),
        ("Due in May [1, 2].", "Due in May [1][2]."),
        ("Due in May [1; 3].", "Due in May [1][3]."),
        ("Due in May [1][2].", "Due in May [1][2]."),
        ("Due in May [1], [2].", "Due in May [1][2]."),
        ("Due in May [1-3].", "Due in May [1][2][3]."),
        ("Due in May [1]–[3].", "Due in May [1][2][3]."),
        ("Due in May【1】.", "Due in May[1]."),
        ("Due in May 【2†source】.", "Due in May [2]."),
        ("Due in May [[1]].", "Due in May [1]."),
        ("Due in May [^2].", "Due in May [2]."),
        ("Due in May [source 1].", "Due in May [1]."),
        ("Due in May [Sources 1 and 2].", "Due in May [1][2]."),
        ("Hạn là tháng 5 [nguồn 1].", "Hạn là tháng 5 [1]."),
        ("Hạn là tháng 5 [1 và 2].", "Hạn là tháng 5 [1][2]."),
        ("Due in May.[1] Then June.[2]", "Due in May.[1] Then June.[2]"),
        ("Due in May[1].", "Due in May[1]."),
        ("Due in 2023[1].", "Due in 2023[1]."),
        ("Due [1][1].", "Due [1]."),
        ("[1]: due in May", "[1] : due in May"),  # else it would be a link's definition
    ],
)
def test_marks_come_to_one_form(written: str, expected: str) -> None:
    assert normalise_marks(written, 3) == (expected, 0)


@pytest.mark.parametrize(
    ("written", "expected", "removed"),
    [
        ("Due in May [9].", "Due in May.", 1),
        ("Due in May [1][9].", "Due in May [1].", 1),
        ("Due in May [2-4].", "Due in May [2][3].", 1),
        ("Due [7] in May.", "Due in May.", 1),
        ("[9] Due in May.", "Due in May.", 1),
        ("Due in May ([9]).", "Due in May.", 1),
        ("- [9] Due\n- in May [1]", "- Due\n- in May [1]", 1),
        ("Due in May [[9]1].", "Due in May [1].", 1),
        ("Due in May 【12】, and [4, 5] June.", "Due in May, and June.", 3),
    ],
)
def test_marks_that_point_nowhere_are_taken_out_and_counted(
    written: str, expected: str, removed: int
) -> None:
    assert normalise_marks(written, 3) == (expected, removed)


@pytest.mark.parametrize(
    "text",
    [
        "Read `items[1]` first.",
        "```python\nx = a[1][9]\n```",
        "~~~\n[9]\n~~~",
        "row_ids[1] is the first.",
        "Set a[9] = 5.",
        "values[9].name",
        "See [1](https://example.org/1) and [9](<a b>).",
        "In the interval [0, 9].",
        "A decree of [2024].",
        r"An escaped \[9] stays.",
        "A [note] and [x] and [1a].",
        "[] and [,] and [ ] and [-]",
    ],
)
def test_what_is_no_mark_is_left_alone(text: str) -> None:
    assert normalise_marks(text, 3) == (text, 0)
    assert not find_marks(text)


def test_no_picture_is_fetched_and_no_mark_is_made_a_link_by_a_document() -> None:
    assert (
        normalise_marks("Done ![chart](http://example.org/a.png).", 1)[0]
        == "Done [chart](http://example.org/a.png)."
    )
    assert (
        normalise_marks("Done [1].\n\n[1]: http://example.org", 1)[0]
        == "Done [1].\n\n[1] : http://example.org"
    )
    assert normalise_marks("> - [a]: http://example.org", 1)[0] == "> - [a] : http://example.org"


def test_all_marks_can_be_removed() -> None:
    assert remove_marks("Due [1] in May [2][3].") == "Due in May."


MARKS = ["[1]", "[9]", "[1, 2]", "[1-3]", "【2】", "[[1]]", "[^3]", "[source 2]", "[0]", "[2024]", "[1](x)"]
SIGNS = ["[", "]", "(", ")", "!", "\\", "`", "```", "\n", " ", ". ", "-", ",", "=", ":", "| "]
WORDS = ["Điều 5", "hạn", "a_b", "1"]
pieces = st.lists(st.one_of(st.sampled_from(MARKS + SIGNS + WORDS), st.text(max_size=6)), max_size=25)


def _words(text: str) -> str:
    """Its letters; the only letters that a mark here may have are those of "source"."""
    return "".join(re.findall(r"[^\W\d]", text)).replace("source", "")


@given(pieces)
@settings(max_examples=300)
def test_normalising_twice_changes_nothing_more(parts: list[str]) -> None:
    once, _ = normalise_marks("".join(parts), 3)
    assert normalise_marks(once, 3) == (once, 0)


@given(pieces)
@settings(max_examples=300)
def test_no_word_of_the_answer_is_lost(parts: list[str]) -> None:
    text = "".join(parts)
    assert _words(normalise_marks(text, 3)[0]) == _words(text)


SIMPLE = ["Due", " ", "in May", "[1]", "[2, 3]", ". ", " [9]", "\n", "【1】", "Hạn nộp"]


@given(st.lists(st.sampled_from(SIMPLE), max_size=20), st.integers(1, 5))
@settings(max_examples=200)
def test_a_stream_shows_what_the_whole_text_comes_to(parts: list[str], size: int) -> None:
    text = "".join(parts)
    stream = MarkStream(3)
    shown = [stream.feed(text[at : at + size]) for at in range(0, len(text), size)]
    assert "".join([*shown, stream.flush()]) == normalise_marks(text, 3)[0]


def test_a_stream_never_shows_half_a_mark() -> None:
    stream = MarkStream(2)
    shown = [
        stream.feed(piece)
        for piece in ["Due in ", "May", " ", "[", "1", "]", "【", "2】", ". ", "Then", " [", "9", "]", "."]
    ]
    shown.append(stream.flush())
    assert "".join(shown) == "Due in May [1][2]. Then."
    for piece in shown:
        assert piece.count("[") == piece.count("]")
    assert shown[1] == " May"  # what is no mark waits for nothing but its blank
