from __future__ import annotations

import pytest

from engine.text.analysis import analyse, analyse_question, fold_term


def test_english_is_stemmed_and_stop_words_go() -> None:
    assert analyse("The winners were running in the races", "en") == ["winner", "run", "race"]


def test_vietnamese_syllables_keep_their_marks_and_their_stop_word_lookalikes() -> None:
    assert analyse("Luật an toàn do Chính phủ", "vi") == ["luật", "an", "toàn", "do", "chính", "phủ"]


def test_an_english_name_is_the_same_term_in_both_languages() -> None:
    assert "panther" in analyse("Đội Panthers đã thua", "vi")
    assert analyse("Panthers", "en") == ["panther"]


@pytest.mark.parametrize("other", ["hoà", "HOÀ", "hoa\u0300"])
def test_the_two_ways_to_place_a_tone_mark_are_one_term(other: str) -> None:
    assert analyse(other, "vi") == analyse("hòa", "vi")


def test_a_tone_mark_on_the_vowel_after_q_stays() -> None:
    assert analyse("quỹ quý", "vi") == ["quỹ", "quý"]


@pytest.mark.parametrize("asked", ["57/2024/QH15", "57/2024", "QH15"])
def test_a_document_number_is_found_whole_and_by_its_parts(asked: str) -> None:
    indexed = analyse("Căn cứ Luật số 57/2024/QH15 ngày 29/11/2024", "vi")
    assert set(analyse_question(asked).terms) <= set(indexed)


def test_a_document_number_with_letters_keeps_them() -> None:
    terms = analyse("Nghị định 214/2025/NĐ-CP", "vi")
    assert {"214/2025/nđ-cp", "214/2025", "nđ", "cp"} <= set(terms)


@pytest.mark.parametrize("amount", ["1.000.000", "1,000,000", "1000000"])
def test_amounts_are_one_term_however_they_are_written(amount: str) -> None:
    assert analyse(f"giá {amount} đồng", "vi") == ["giá", "1000000", "đồng"]


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("3,5%", ["3.5"]),
        ("1,234.5", ["1234.5"]),
        ("1.234,5", ["1234.5"]),
        ("section 4.1.2", ["section", "4.1.2"]),
        ("the NFL's U.S. champion", ["nfl", "us", "champion"]),
        ("self-adjoint", ["self", "adjoint"]),
        ("e-HSMT mp3", ["e", "hsmt", "mp3"]),
        ("10,11,12", ["10", "11", "12"]),
        ("", []),
        ("😀 — …", []),
    ],
)
def test_numbers_and_mixed_tokens(text: str, terms: list[str]) -> None:
    assert analyse(text, "en") == terms


def test_a_question_without_marks_matches_the_folded_terms_of_the_text() -> None:
    question = analyse_question("luat dau thau quy dinh nhung gi")
    indexed = {fold_term(t) for t in analyse("Luật Đấu thầu quy định những gì", "vi")}
    assert question.fold
    assert set(question.terms) <= indexed


def test_a_question_with_marks_is_matched_exactly() -> None:
    question = analyse_question("Luật Đấu thầu, luật nào?")
    assert not question.fold
    assert question.terms == ("luật", "đấu", "thầu", "nào")


def test_long_runs_are_cut() -> None:
    assert max(map(len, analyse("a" * 100_000, "und"))) <= 64
