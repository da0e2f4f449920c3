from __future__ import annotations

import pytest

from engine.reranking.numbers import numbers_held

from ..answering.parts import source


def _held(question: str, *texts: str) -> list[float]:
    return numbers_held(question, [source(text, title="Report 2024").passage for text in texts]).tolist()


def test_a_passage_with_the_questions_numbers_is_told_from_one_without() -> None:
    told = _held("What was sold in 1998 for 1,500 euros?", "In 1998 it cost 1500.", "In 1998.", "In 1999.")
    assert told == [1.0, 0.5, 0.0]


def test_a_question_without_numbers_tells_nothing() -> None:
    assert _held("What was sold?", "In 1998.", "Nothing.") == [1.0, 1.0]
    assert _held("What was sold in 1998?") == []


def test_the_title_counts_as_said() -> None:
    assert _held("Doanh thu năm 2024 là bao nhiêu?", "Doanh thu là 5 tỷ đồng.") == [1.0]


@pytest.mark.parametrize(("asked", "written"), [("1.000.000", "1,000,000"), ("1.5", "1,5"), ("05", "5")])
def test_one_number_in_two_spellings_is_one(asked: str, written: str) -> None:
    assert _held(f"Why {asked}?", f"It is {written} here.") == [1.0]
