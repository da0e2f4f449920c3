from __future__ import annotations

import unicodedata

import pytest

from engine.text.normalisation import fold_diacritics, normalise, normalise_question


def test_decomposed_vietnamese_becomes_composed_and_keeps_its_marks() -> None:
    text = "Luật Đấu thầu số 22/2023/QH15"
    assert normalise(unicodedata.normalize("NFD", text)) == text


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("  two \t words\u00a0here ", "two words here"),
        ("zero\u200bwidth\ufeff and soft\u00adhyphen", "zerowidth and softhyphen"),
        ("nul\x00 and bell\x07", "nul and bell"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("\u202eright to left\u202c", "right to left"),
        ("\uf0b7 symbol bullet", "symbol bullet"),
        ("", ""),
        ("\n\t ", ""),
    ],
)
def test_invisible_characters_go(raw: str, clean: str) -> None:
    assert normalise(raw) == clean


def test_line_breaks_are_kept_on_request_and_runs_of_them_become_one() -> None:
    raw = "first \r\n second\r\r\n\n  third\u2028fourth\n"
    assert normalise(raw, keep_line_breaks=True) == "first\nsecond\nthird\nfourth"
    assert normalise(raw) == "first second third fourth"


@pytest.mark.parametrize("text", ["Điều 5.\n\tKhoản  2", "plain  ascii\r\n text", "\x85 a\u0301"])
def test_normalising_twice_changes_nothing(text: str) -> None:
    for keep in (True, False):
        once = normalise(text, keep_line_breaks=keep)
        assert normalise(once, keep_line_breaks=keep) == once


def test_folding_takes_every_vietnamese_mark_and_keeps_case() -> None:
    assert fold_diacritics("Điều khoản: ưỡn, quỹ, Ðông") == "Dieu khoan: uon, quy, Dong"
    assert fold_diacritics("plain") == "plain"


def test_a_question_is_one_line() -> None:
    assert normalise_question(" Luật\nnào? ") == "Luật nào?"
