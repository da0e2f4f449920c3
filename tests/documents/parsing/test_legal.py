"""Vietnamese legal texts have their structure, however they are styled."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.documents.model import Block
from engine.documents.parsing import parse
from engine.documents.parsing.legal import apply_legal_structure


def structure(*lines: str) -> list[tuple[str, int, str]]:
    blocks = apply_legal_structure([Block("paragraph", line) for line in lines])
    return [(block.kind, block.level, block.text) for block in blocks]


def headings(*lines: str) -> list[str]:
    return [text for kind, _, text in structure(*lines) if kind == "heading"]


def test_divisions_rank_above_each_other() -> None:
    found = structure(
        "PHẦN THỨ NHẤT",
        "Chương I",
        "QUY ĐỊNH CHUNG",
        "Mục 1. HÌNH THỨC",
        "Điều 1. Phạm vi",
        "Luật này quy định.",
        "Điều 2. Đối tượng",
    )
    assert [text for _, _, text in found] == [
        "PHẦN THỨ NHẤT", "Chương I QUY ĐỊNH CHUNG", "Mục 1. HÌNH THỨC", "Điều 1. Phạm vi",
        "Luật này quy định.", "Điều 2. Đối tượng",
    ]  # fmt: skip
    levels = [level for kind, level, _ in found if kind == "heading"]
    assert levels[:4] == sorted(set(levels)) and levels[3] == levels[4]


def test_a_title_over_two_lines_is_one_heading() -> None:
    assert headings(
        "Chương II", "HÌNH THỨC LỰA CHỌN NHÀ THẦU,", "NHÀ ĐẦU TƯ", "Điều 20. Các hình thức", "Có hai."
    ) == [
        "Chương II HÌNH THỨC LỰA CHỌN NHÀ THẦU, NHÀ ĐẦU TƯ",
        "Điều 20. Các hình thức",
    ]


def test_an_article_without_a_title_keeps_its_sentence_as_text() -> None:
    found = structure(
        "Điều 1. Quyết định này quy định việc áp dụng hình thức lựa chọn nhà thầu trong trường hợp đặc biệt.",
        "Điều 2. Hiệu lực",
    )
    assert found[0][0] == "heading" and found[0][2] == "Điều 1."
    assert found[1][0] == "paragraph" and found[1][2].startswith("Quyết định này quy định")


def test_a_sentence_that_mentions_an_article_is_no_heading() -> None:
    lines = [
        "Điều 1. Phạm vi",
        "Điều 5 của Luật này quy định khác.",
        "Chương này không áp dụng.",
        "Mục tiêu là gì?",
        "Điều 2. Khác",
    ]
    assert headings(*lines) == ["Điều 1. Phạm vi", "Điều 2. Khác"]


def test_articles_quoted_by_an_amendment_do_not_end_the_article_that_quotes_them() -> None:
    found = structure(
        "Điều 1. Sửa đổi, bổ sung một số điều của Luật Quy hoạch",
        "1. Sửa đổi, bổ sung Điều 9 như sau:",
        "“Điều 9. Chi phí cho hoạt động quy hoạch",
        "1. Chi phí lập quy hoạch.",
        "Điều 9a. Nguồn chi",
        "Nguồn chi do ngân sách bảo đảm.”.",
        "2. Bổ sung khoản 5 vào sau khoản 4 Điều 16 như sau:",
        "“5. Chính phủ quy định chi tiết Điều này.”.",
        "Điều 2. Hiệu lực thi hành",
        "1. Luật này có hiệu lực thi hành từ ngày 15 tháng 01 năm 2025.",
    )
    levels = {text: level for kind, level, text in found if kind == "heading"}
    article = levels["Điều 1. Sửa đổi, bổ sung một số điều của Luật Quy hoạch"]
    clause = levels["1. Sửa đổi, bổ sung Điều 9 như sau:"]
    quoted = levels["“Điều 9. Chi phí cho hoạt động quy hoạch"]
    assert article < clause < quoted == levels["Điều 9a. Nguồn chi"]
    assert levels["2. Bổ sung khoản 5 vào sau khoản 4 Điều 16 như sau:"] == clause
    assert levels["Điều 2. Hiệu lực thi hành"] == article
    assert len(levels) == 6


def test_an_article_about_amending_a_contract_has_no_clauses_as_headings() -> None:
    lines = [
        "Điều 70. Sửa đổi hợp đồng",
        "1. Sửa đổi hợp đồng có thể thực hiện trong các trường hợp:",
        "Điều 71. Khác",
    ]
    assert headings(*lines) == ["Điều 70. Sửa đổi hợp đồng", "Điều 71. Khác"]


def test_a_table_of_contents_typed_by_hand_is_a_list() -> None:
    contents = [
        "Chương I. Chung",
        "Chương II. Dữ liệu",
        "Chương III. Tiêu chuẩn",
        "Chương IV. Biểu mẫu",
        "Chương V. Kỹ thuật",
    ]
    found = structure(*contents, "Chương I. CHUNG", "Điều 1. Phạm vi", "Ở đây.")
    assert [kind for kind, _, _ in found] == ["list_item"] * 5 + ["heading", "heading", "paragraph"]


def test_texts_of_another_kind_are_left_alone() -> None:
    blocks = [Block("paragraph", "Mục 1. A"), Block("heading", "Chapter", 1), Block("paragraph", "Text.")]
    assert apply_legal_structure(blocks) == blocks


LAWS = {
    "luat-dau-thau-2023.docx": range(1, 97),
    "hop-nhat-126-2025-luat-dau-thau.docx": range(1, 97),
    "nghi-dinh-214-2025.docx": range(1, 147),
    "thong-tu-loi-van.docx": range(1, 36),
    "quyet-dinh-1667-qd-byt.docx": range(1, 7),
}


@pytest.mark.parametrize("name", LAWS)
def test_every_article_of_a_real_law_is_a_heading_once_and_in_order(shared_data: Path, name: str) -> None:
    parsed = parse(shared_data / "procurement-vi" / name, name)
    article = next(b.level for b in parsed.blocks if b.text.startswith("Điều 2."))
    found = [
        b.text.split(".")[0]
        for b in parsed.blocks
        if b.kind == "heading" and b.level == article and "Điều" in b.text
    ]
    assert [text for text in found if text.removeprefix("Điều ").isdecimal()] == [
        f"Điều {n}" for n in LAWS[name]
    ]
