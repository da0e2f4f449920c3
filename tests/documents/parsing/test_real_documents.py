"""What comes out of the documents that people really have."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from engine.documents.parsing import parse
from engine.documents.parsing.old_word import find_converters
from engine.documents.passages import split_passages


def test_all_of_them_can_be_read(shared_data: Path) -> None:
    for path in sorted(
        [*(shared_data / "procurement-vi").iterdir(), *(shared_data / "manuals-en").glob("*.pdf")]
    ):
        if path.suffix == ".doc" and not find_converters():
            continue
        parsed = parse(path, path.name)
        text = "\n".join(block.text for block in parsed.blocks)
        assert len(text) > 2_000 and unicodedata.is_normalized("NFC", text)
        assert max(len(p.text) for p in split_passages(parsed)) <= 1_600


def test_a_word_table_keeps_whole_rows(shared_data: Path) -> None:
    path = shared_data / "procurement-vi" / "mau-3a-e-hsmt-xay-lap.docx"
    parsed = parse(path, path.name)
    assert any(b.kind == "heading" and b.text == "18. Bảo đảm dự thầu" for b in parsed.blocks)
    assert sum(bool(b.header) for b in parsed.blocks) > 100


def test_a_workbook(shared_data: Path) -> None:
    path = shared_data / "procurement-vi" / "mau-05-bao-cao-dau-thau.xlsx"
    parsed = parse(path, path.name)
    row = next(b for b in parsed.blocks if b.text.startswith("1. Phi tư vấn"))
    assert row.page == 1 and "Dự án nhóm A (2) Tổng giá trúng thầu" in row.header


@pytest.mark.parametrize(
    ("name", "page", "heading"),
    [
        ("developers-reference.pdf", 27, "4.4.7 chroots to different distributions"),
        ("fhs-3.0.pdf", 8, "1.1. Purpose"),
        ("fhs-3.0.pdf", 21, "3.15. /run : Run-time variable data"),
    ],
)
def test_a_manual_has_its_headings_on_their_pages(
    shared_data: Path, name: str, page: int, heading: str
) -> None:
    path = shared_data / "manuals-en" / name
    assert any(b.kind == "heading" and (b.text, b.page) == (heading, page) for b in parse(path, name).blocks)


def test_a_manual_is_free_of_contents_headers_and_broken_words(shared_data: Path) -> None:
    path = shared_data / "manuals-en" / "developers-reference.pdf"
    text = "\n".join(block.text for block in parse(path, path.name).blocks)
    assert ". . . ." not in text and "\ufffe" not in text
    assert text.count("Debian Developer’s Reference, Release 12.18") == 0
    assert "Notify the release team" in text or "release team" in text
