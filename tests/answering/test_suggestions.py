"""First questions, made of the documents' own headings."""

from __future__ import annotations

import pytest

from engine.answering.suggestions import suggest

HEADINGS = [
    ("Luật Đấu thầu", "Chương I. Những quy định chung › Điều 5. Tư cách hợp lệ của nhà thầu", "vi"),
    ("Luật Đấu thầu", "Điều 14. BẢO ĐẢM DỰ THẦU", "vi"),
    ("Luật Đấu thầu", "MỤC LỤC", "vi"),
    ("Developer's Reference", "5. Managing packages › 5.4 Bug reporting", "en"),
    ("Developer's Reference", "Table of Contents", "en"),
    ("Developer's Reference", "How to file a bug?", "en"),
    ("Standard", "/usr/share : Architecture-independent data", "en"),
    ("Standard", "3.4", "en"),
]


@pytest.mark.parametrize(
    ("title", "heading", "language", "question"),
    [
        (
            "Luật",
            "Điều 5. Tư cách hợp lệ của nhà thầu",
            "vi",
            "Tư cách hợp lệ của nhà thầu được quy định thế nào?",
        ),
        ("Luật", "Điều 14. BẢO ĐẢM DỰ THẦU", "vi", "Bảo đảm dự thầu được quy định thế nào?"),
        ("Sổ tay", "2.1. Cài đặt phần mềm", "vi", "Tài liệu “Sổ tay” nói gì về cài đặt phần mềm?"),
        ("Guide", "5.4 Bug reporting", "en", "What does “Guide” say about bug reporting?"),
        (
            "Guide",
            "Part II. DEBIAN SOURCE PACKAGES",
            "en",
            "What does “Guide” say about debian source packages?",
        ),
        ("", "Bug reporting", "en", "What do the documents say about bug reporting?"),
        ("FAQ", "How to file a bug?", "en", "How to file a bug?"),
    ],
)
def test_a_heading_becomes_a_question_in_its_language(
    title: str, heading: str, language: str, question: str
) -> None:
    assert suggest([(title, heading, language)]) == [question]


@pytest.mark.parametrize(
    "heading",
    [
        "",
        "3.4",
        "Contents",
        "Table of Contents",
        "MỤC LỤC",
        "Điều 7.",
        "Sheet 1",
        "....... 12",
        "if (a == b) {",
        "Mẫu số 4A",
        "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM",
        "A",
        "12 | 13 | 14",
        "a very " * 20 + "long one",
        "Chương I. Quy định chung",
        "Điều 1. Quyết định này có hiệu lực kể từ ngày ký",
    ],
)
def test_headings_without_a_subject_suggest_nothing(heading: str) -> None:
    assert suggest([("Title", heading, "en"), ("Title", heading, "vi")]) == []


def test_names_keep_their_capitals() -> None:
    headings = [("Guide", "Resources for Debian Members", "en"), ("Guide", "Debian machines", "en")]
    assert "What does “Guide” say about Debian machines?" in suggest(headings)


def test_documents_take_turns() -> None:
    many = [("A", f"Heading of kind {word}", "en") for word in ("one", "two", "three", "four")] + [
        ("B", "Other things", "en")
    ]
    assert sum("“B”" in question for question in suggest(many, 2)) == 1
    assert len(suggest(many, 4)) == 4


def test_the_same_seed_gives_the_same_questions() -> None:
    assert suggest(HEADINGS, 3, "2024-05-01") == suggest(list(reversed(HEADINGS)), 3, "2024-05-01")
    assert len({tuple(suggest(HEADINGS, 2, str(day))) for day in range(20)}) > 1


def test_an_empty_corpus_suggests_nothing() -> None:
    assert suggest([], 4) == []
    assert suggest(HEADINGS, 0) == []
