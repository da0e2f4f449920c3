"""What is guessed of a document, from what it says itself."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from engine.documents.metadata import guess_metadata
from engine.documents.model import Block, Metadata, ParsedDocument
from engine.documents.parsing import parse


def guess(*lines: str | Block, file_name: str = "tai_lieu-01.docx", **told: object) -> Metadata:
    blocks = tuple(line if isinstance(line, Block) else Block("paragraph", line) for line in lines)
    return guess_metadata(ParsedDocument(blocks, **told), file_name)  # type: ignore[arg-type]


LETTERHEAD = (
    "QUỐC HỘI",
    "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM",
    "Luật số: 22/2023/QH15",
    "Hà Nội, ngày 23 tháng 6 năm 2023",
)


def test_an_official_text_has_its_kind_number_subject_and_dates() -> None:
    found = guess(
        *LETTERHEAD, "LUẬT", "ĐẤU THẦU", "Căn cứ Hiến pháp nước Cộng hòa xã hội chủ nghĩa Việt Nam;",
        "3. Hợp đồng ký từ ngày Luật này có hiệu lực thi hành đến hết ngày 31 tháng 12 năm 2024.",
        "1. Luật này có hiệu lực thi hành từ ngày 01 tháng 01 năm 2024.",
    )  # fmt: skip
    assert found == Metadata(
        "Luật Đấu thầu số 22/2023/QH15",
        "vi",
        published_on=date(2023, 6, 23),
        effective_on=date(2024, 1, 1),
        tags=("luật",),
    )


def test_in_force_from_the_day_of_signing() -> None:
    found = guess(
        "BỘ Y TẾ", "Số: 1667/QĐ-BYT", "Hà Nội, ngày 14 tháng 6 năm 2024", "QUYẾT ĐỊNH",
        "Về việc mua vé máy bay", "BỘ TRƯỞNG BỘ Y TẾ", "Căn cứ Luật Đấu thầu số 22/2023/QH15;",
        "Điều 5. Quyết định này có hiệu lực kể từ ngày ký, ban hành.",
    )  # fmt: skip
    assert found.title == "Quyết định số 1667/QĐ-BYT về việc mua vé máy bay"
    assert found.effective_on == found.published_on == date(2024, 6, 14)


def test_a_form_with_blanks_has_no_dates() -> None:
    found = guess(
        "MẪU SỐ 3A HỒ SƠ MỜI THẦU", "………., ngày ……tháng ……năm……", "Quyết định này có hiệu lực từ ngày ký."
    )
    assert (found.title, found.published_on, found.effective_on) == ("Mẫu số 3A Hồ sơ mời thầu", None, None)
    assert found.tags == ("biểu mẫu",)


@pytest.mark.parametrize(
    ("told", "title"),
    [
        ("Leave policy", "Leave policy"),
        ("Microsoft Word - leave_v3.doc", "First heading"),
        ("Document1", "First heading"),
        ("", "First heading"),
    ],
)
def test_titles_that_programs_make_up_are_no_titles(told: str, title: str) -> None:
    found = guess(Block("heading", "First heading", 1), "Everyone has twenty days of leave.", title=told)
    assert found.title == title


def test_the_file_name_is_the_last_resort() -> None:
    assert guess("Chỉ có nội dung.", file_name="bao_cao-dau-thau.2024.txt").title == "bao cao dau thau 2024"


@pytest.mark.parametrize(
    ("line", "day"),
    [
        ("Publication date March 19, 2015", date(2015, 3, 19)),
        ("2023-03-06", date(2023, 3, 6)),
        ("Published on 4th July 2021 by the office", date(2021, 7, 4)),
        ("Last updated: Sept 1, 2020", date(2020, 9, 1)),
        ("The war ended on May 8, 1945, as everyone knows.", None),
        ("February 30, 2020", None),
    ],
)
def test_english_dates(line: str, day: date | None) -> None:
    assert guess("A text about something in particular.", line).published_on == day


def test_english_effective_date() -> None:
    found = guess("This policy takes effect on 1 January 2025 for all staff.")
    assert found.effective_on == date(2025, 1, 1)


def test_dates_of_office_files_are_not_believed_those_of_pdfs_are() -> None:
    told = {"created": "2020-02-03", "modified": "2021-01-01"}
    assert guess("Text.", properties=told).published_on is None
    assert guess("Text.", properties=told, page_count=3).published_on == date(2020, 2, 3)
    assert guess("Text.", properties={"created": "soon"}, page_count=3).published_on is None


@pytest.mark.parametrize("mark", ["DỰ THẢO", "Dự thảo lần 2", "DRAFT", "[Draft v0.3]", "(Bản dự thảo)"])
def test_drafts_say_so(mark: str) -> None:
    assert guess(mark, "Some rules of the office.").status == "draft"


def test_a_text_about_drafts_is_none() -> None:
    assert (
        guess("Draft horses are strong.", "Dự thảo luật được trình Quốc hội vào kỳ họp sau.").status
        == "active"
    )


REAL = {
    "procurement-vi/luat-dau-thau-2023.docx": (
        "Luật Đấu thầu số 22/2023/QH15", "2023-06-23", "2024-01-01", "luật",
    ),
    "procurement-vi/nghi-dinh-214-2025.docx": (
        "Nghị định số 214/2025/NĐ-CP quy định chi tiết một số điều và biện pháp thi hành Luật Đấu thầu "
        "về lựa chọn nhà thầu",
        "2025-08-04", "2025-08-04", "nghị định",
    ),
    "procurement-vi/hop-nhat-126-2025-luat-dau-thau.docx": (
        "Văn bản hợp nhất Luật Đấu thầu số 126/VBHN-VPQH", "2025-08-27", "2024-01-01", "văn bản hợp nhất",
    ),
    "procurement-vi/thong-tu-loi-van.docx": (
        "Thông tư số 79/2025/TT-BTC hướng dẫn việc cung cấp, đăng tải thông tin về đấu thầu và mẫu hồ sơ "
        "đấu thầu trên Hệ thống mạng đấu thầu quốc gia", "2025-08-04", "2025-08-04", "thông tư",
    ),
    "manuals-en/developers-reference.pdf": ("Debian Developer's Reference", "2023-03-06", "None", ""),
    "manuals-en/fhs-3.0.pdf": ("Filesystem Hierarchy Standard", "2015-03-19", "None", "standard"),
}  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_real_documents(shared_data: Path, name: str) -> None:
    path = shared_data / name
    found = guess_metadata(parse(path, path.name), path.name)
    told = (found.title, str(found.published_on), str(found.effective_on), "".join(found.tags))
    assert told == REAL[name]
    assert found.language == ("en" if path.suffix == ".pdf" else "vi")
