"""Every format keeps its text, its headings, its tables and the marks of Vietnamese letters."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from engine.documents.model import Block, ParsedDocument
from engine.documents.parsing import PARSERS, format_of, parse
from engine.documents.parsing.old_word import find_converters
from engine.errors import UnreadableFile
from tests.documents.make_files import (
    VIETNAMESE,
    PdfLine,
    Sheet,
    docx,
    docx_of_xml,
    ods,
    pdf,
    pdf_page,
    pptx,
    scanned_pdf,
    xlsx,
)


def texts(parsed: ParsedDocument, kind: str | None = None) -> list[str]:
    return [block.text for block in parsed.blocks if kind in (None, block.kind)]


def headings(parsed: ParsedDocument) -> list[tuple[int, str]]:
    return [(block.level, block.text) for block in parsed.blocks if block.kind == "heading"]


SAMPLES: dict[str, bytes] = {
    "pdf": pdf([pdf_page(VIETNAMESE)]),
    "docx": docx(VIETNAMESE),
    "xlsx": xlsx(Sheet("Bảng giá", [["Tên", "Mô tả"], ["Gói thầu", VIETNAMESE]])),
    "ods": ods("Bảng giá", [["Tên", "Mô tả"], ["Gói thầu", VIETNAMESE]]),
    "pptx": pptx([("Đấu thầu", [VIETNAMESE], "")]),
    "html": f"<p>{VIETNAMESE}</p>".encode(),
    "htm": f"<p>{VIETNAMESE}</p>".encode("utf-16"),
    "md": VIETNAMESE.encode(),
    "csv": f'tên,mô tả\ngói thầu,"{VIETNAMESE}"'.encode(),
    "tsv": f"tên\tmô tả\ngói thầu\t{VIETNAMESE}".encode("utf-8-sig"),
    "txt": unicodedata.normalize("NFD", VIETNAMESE).encode(),
}


@pytest.mark.parametrize("extension", sorted(SAMPLES))
def test_vietnamese_letters_survive(extension: str) -> None:
    parsed = parse(SAMPLES[extension], f"tệp.{extension}")
    assert VIETNAMESE in "\n".join(texts(parsed))


def test_each_format_has_a_sample_or_a_test_of_its_own() -> None:
    assert set(PARSERS) - set(SAMPLES) == {"doc", "xls"}


def test_extensions_are_taken_whatever_their_case() -> None:
    assert format_of("BÁO CÁO.DOCX") == "docx"
    with pytest.raises(UnreadableFile) as caught:
        format_of("picture.png")
    assert caught.value.reason == "unsupported" and "docx" in caught.value.hint


# --- Word ---


def test_word_headings_by_style_lists_tables_and_title() -> None:
    parsed = parse(
        docx(
            ("Heading 1", "Leave"),
            "Everyone has leave.",
            ("Heading 2", "Carry over"),
            ("List Bullet", "five days"),
            ("List Number", "ask first"),
            ("List Number", "then go"),
            [["Grade", "Days"], ["A", "20"], ["B", "25"]],
            title="Leave policy",
        ),
        "leave.docx",
    )
    assert parsed.title == "Leave policy"
    assert headings(parsed) == [(1, "Leave"), (2, "Carry over")]
    assert "• five days" in texts(parsed, "list_item")
    assert [t for t in texts(parsed) if "ask" in t or "then" in t] == ["1. ask first", "2. then go"]
    assert [b.text for b in parsed.blocks if b.kind == "table_row"] == ["Grade | Days", "A | 20", "B | 25"]


def test_word_merged_cells_are_not_repeated_and_nothing_nested_is_lost() -> None:
    cell = "<w:tc><w:tcPr>{0}</w:tcPr><w:p><w:r><w:t>{1}</w:t></w:r></w:p>{2}</w:tc>"
    nested = f"<w:tbl><w:tr>{cell.format('', 'inner', '')}{cell.format('', 'table', '')}</w:tr></w:tbl><w:p/>"
    parsed = parse(
        docx_of_xml(
            "<w:tbl><w:tr>"
            + cell.format('<w:gridSpan w:val="3"/>', "wide", "")
            + "</w:tr><w:tr>"
            + cell.format('<w:vMerge w:val="restart"/>', "tall", "")
            + cell.format("", "b", nested)
            + cell.format("", "c", "")
            + "</w:tr><w:tr>"
            + cell.format("<w:vMerge/>", "hidden by the merge", "")
            + cell.format("", "e", "")
            + cell.format("", "f", "")
            + "</w:tr></w:tbl>"
        ),
        "merged.docx",
    )
    rows = texts(parsed, "table_row")
    assert rows[:3] == ["wide", "tall | b | c", "| e | f"]
    assert "inner" in rows[3] and "table" in rows[3]


def test_word_text_boxes_are_read_once_deleted_text_and_field_codes_are_not() -> None:
    box = "<w:txbxContent><w:p><w:r><w:t>in a box</w:t></w:r></w:p></w:txbxContent>"
    parsed = parse(
        docx_of_xml(
            "<w:p><w:r><w:t>kept</w:t></w:r>"
            "<w:del><w:r><w:delText>gone</w:delText></w:r></w:del>"
            "<w:ins><w:r><w:t xml:space='preserve'> added</w:t></w:r></w:ins>"
            "<w:r><w:instrText>PAGE</w:instrText></w:r>"
            "<w:r><mc:AlternateContent><mc:Choice Requires='wps'>"
            f"<w:drawing><wps:txbx>{box}</wps:txbx></w:drawing></mc:Choice><mc:Fallback><w:pict><v:textbox>{box}</v:textbox></w:pict></mc:Fallback>"
            "</mc:AlternateContent></w:r></w:p>"
        ),
        "box.docx",
    )
    assert texts(parsed) == ["kept added", "in a box"]


def test_word_short_bold_lines_are_headings_where_there_are_no_styles() -> None:
    bold = "<w:p><w:r><w:rPr><w:b/></w:rPr><w:t>{0}</w:t></w:r></w:p>"
    plain = "<w:p><w:r><w:t>{0}</w:t></w:r></w:p>"
    parsed = parse(
        docx_of_xml(
            bold.format("OFFICE RULES")
            + plain.format("These are the rules.")
            + bold.format("Opening hours")
            + plain.format("From eight to five.")
        ),
        "rules.docx",
    )
    assert headings(parsed) == [(1, "OFFICE RULES"), (2, "Opening hours")]


def test_word_contract_set_as_a_table_has_its_clauses_as_headings() -> None:
    clause = "Nhà thầu phải nộp bảo đảm dự thầu trước thời điểm đóng thầu theo quy định. " * 6
    parsed = parse(docx([["18. Bảo đảm dự thầu", clause], ["19. Đóng thầu", clause]]), "e-hsmt.docx")
    assert [text for _, text in headings(parsed)] == ["18. Bảo đảm dự thầu", "19. Đóng thầu"]
    assert texts(parsed, "paragraph") == [clause.strip()] * 2


@pytest.mark.skipif(not find_converters(), reason="no converter for .doc files: install antiword")
def test_old_word(shared_data: Path) -> None:
    path = shared_data / "procurement-vi" / "mau-04-1a-ke-hoach-kiem-tra.doc"
    parsed = parse(path, path.name)
    assert "Mẫu Kế hoạch kiểm tra định kỳ hoạt động đấu thầu" in parsed.blocks[0].text
    assert any(b.kind == "table_row" and b.header.startswith("TT | Nội dung") for b in parsed.blocks)


def test_old_word_without_a_converter_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    content = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 2000
    with pytest.raises(UnreadableFile) as caught:
        parse(content, "old.doc")
    assert caught.value.reason == "needs-converter"
    assert "antiword" in caught.value.hint and "old.doc" in caught.value.message


@pytest.mark.skipif(os.name != "posix", reason="the stand-in for LibreOffice is a shell script")
def test_old_word_prefers_an_office_program_and_falls_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted = tmp_path / "converted.docx"
    converted.write_bytes(docx(("Heading 1", "Điều khoản"), VIETNAMESE))
    office = tmp_path / "soffice"
    office.write_text(f'#!/bin/sh\ntest "$3" = --convert-to && cp {converted} "$6/document.docx"\n')
    office.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    content = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 2000
    assert headings(parse(content, "old.doc")) == [(1, "Điều khoản")]
    office.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(UnreadableFile) as caught:
        parse(content, "old.doc")
    assert caught.value.reason == "damaged" and ".docx" in caught.value.hint
    antiword = tmp_path / "antiword"
    antiword.write_text("#!/bin/sh\necho 'Văn bản.'\n")
    antiword.chmod(0o755)
    assert texts(parse(content, "old.doc")) == ["Văn bản."]


# --- tables ---


def test_sheets_are_pages_and_rows_know_their_columns() -> None:
    parsed = parse(
        xlsx(
            Sheet(
                "Giá",
                [["BẢNG GIÁ"], [], ["Tên", "Số lượng", "Ngày"], ["Bàn", 3, "2024-01-02"], ["Ghế", 4.5, None]],
            ),
            Sheet("Hidden", [["secret", "list"]], hidden=True),
            Sheet("Khác", [["a", "b"], ["c", "d"]]),
        ),
        "giá.xlsx",
    )
    assert parsed.page_count == 3
    assert headings(parsed) == [(1, "Giá"), (1, "Khác")]
    assert parsed.blocks[1] == Block("paragraph", "BẢNG GIÁ", page=1)
    header = "Tên | Số lượng | Ngày"
    assert parsed.blocks[3] == Block("table_row", "Bàn | 3 | 2024-01-02", page=1, header=header)
    assert parsed.blocks[4].text == "Ghế | 4.5"
    assert not any("secret" in text for text in texts(parsed))


def test_merged_header_cells_name_each_column_and_merged_labels_each_row() -> None:
    parsed = parse(
        xlsx(
            Sheet(
                "Báo cáo",
                [
                    ["Lĩnh vực", "Trong nước", None, "Quốc tế", None],
                    [None, "Số gói", "Giá", "Số gói", "Giá"],
                    ["Tư vấn", 1, 2, 3, 4],
                    [None, 5, 6, 7, 8],
                ],
                merged=["A1:A2", "B1:C1", "D1:E1", "A3:A4"],
            )
        ),
        "b.xlsx",
    )
    last = parsed.blocks[-1]
    assert last.text == "Tư vấn | 5 | 6 | 7 | 8"
    assert last.header == "Lĩnh vực | Trong nước Số gói | Trong nước Giá | Quốc tế Số gói | Quốc tế Giá"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_delimiters(delimiter: str) -> None:
    rows = [["tên", "giá"], ["bàn, gỗ", "1"], ["ghế", "2"]]
    content = "\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)
    parsed = parse(content.encode(), "a.csv")
    assert [(b.text, b.header) for b in parsed.blocks][1:] == [
        ("bàn, gỗ | 1", "tên | giá"),
        ("ghế | 2", "tên | giá"),
    ]


def test_csv_of_figures_has_no_header() -> None:
    parsed = parse(b"1,2\n3,4\n", "a.csv")
    assert [(b.text, b.header) for b in parsed.blocks] == [("1 | 2", ""), ("3 | 4", "")]


# --- slides ---


def test_slides_are_pages_with_titles_notes_and_tables() -> None:
    parsed = parse(
        pptx([("Kế hoạch", ["một", "hai"], "nhớ nói chậm"), ("Giá", [], "")], [["Tên", "Giá"], ["Bàn", "3"]]),
        "a.pptx",
    )
    assert parsed.page_count == 2
    assert [(b.kind, b.text, b.page) for b in parsed.blocks] == [
        ("heading", "Kế hoạch", 1),
        ("list_item", "• một", 1),
        ("list_item", "• hai", 1),
        ("paragraph", "nhớ nói chậm", 1),
        ("heading", "Giá", 2),
        ("table_row", "Tên | Giá", 2),
        ("table_row", "Bàn | 3", 2),
    ]


# --- web, Markdown ---


def test_web_pages_lose_what_no_reader_sees() -> None:
    parsed = parse(
        b"""<!doctype html><title>Rules</title><style>p{}</style><nav><a>Home</a></nav>
        <h1>Leave</h1><p>Ask <b>your</b>\nmanager.<br>Early.</p><script>alert(1)</script>
        <ol><li>first<ul><li>inner</li></ul><li>second</ol>
        <table><tr><th>A<th>B<tr><td>1<td>2</table><pre>x = 1\ny = 2</pre>""",
        "a.html",
    )
    assert parsed.title == "Rules"
    assert [(b.kind, b.text, b.header) for b in parsed.blocks] == [
        ("heading", "Leave", ""),
        ("paragraph", "Ask your manager. Early.", ""),
        ("list_item", "1. first", ""),
        ("list_item", "• inner", ""),
        ("list_item", "2. second", ""),
        ("table_row", "A | B", ""),
        ("table_row", "1 | 2", "A | B"),
        ("code", "x = 1\ny = 2", ""),
    ]


def test_web_pages_may_declare_an_old_encoding() -> None:
    page = '<meta http-equiv="Content-Type" content="text/html; charset=windows-1251"><p>Привет, мир</p>'
    assert texts(parse(page.encode("cp1251"), "a.html")) == ["Привет, мир"]


def test_markdown() -> None:
    parsed = parse(
        b"""---\ntitle: "Rules"\ndate: 2024-05-06\n---\n# Leave\nAsk *your* `manager`,\nearly.\n
1. first\n2. second\n   - inner\n\n## Days\n| A | B |\n|---|---|\n| 1 | 2 |\n\n```\nx = 1\n```\n""",
        "a.md",
    )
    assert parsed.title == "Rules" and parsed.properties["created"] == "2024-05-06"
    assert [(b.kind, b.level, b.text) for b in parsed.blocks] == [
        ("heading", 1, "Leave"),
        ("paragraph", 0, "Ask your manager, early."),
        ("list_item", 0, "1. first"),
        ("list_item", 0, "2. second"),
        ("list_item", 0, "• inner"),
        ("heading", 2, "Days"),
        ("table_row", 0, "A | B"),
        ("table_row", 0, "1 | 2"),
        ("code", 0, "x = 1"),
    ]
    assert parsed.blocks[7].header == "A | B"


# --- plain text ---


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1258"])
def test_text_in_every_encoding(encoding: str) -> None:
    text = (
        "Điều này quy định về đấu thầu. Nhà thầu phải nộp hồ sơ dự thầu đúng hạn, đủ số lượng theo yêu cầu."
    )
    given = text if encoding != "cp1258" else _decomposed_tones(text)
    assert texts(parse(given.encode(encoding), "a.txt")) == [text]


def _decomposed_tones(text: str) -> str:
    """As Windows-1258 writes it: letters with their shape, tone marks after them."""
    out = []
    for character in text:
        parts = unicodedata.normalize("NFD", character)
        tones = "".join(c for c in parts if c in "\u0300\u0301\u0303\u0309\u0323")
        out.append(unicodedata.normalize("NFC", "".join(c for c in parts if c not in tones)) + tones)
    return "".join(out)


def test_text_broken_at_a_margin_is_joined_and_lists_are_not() -> None:
    parsed = parse(
        b"A long paragraph that some program has broken at its margin because lines\n"
        b"were eighty characters wide in those days, goes on here.\n\n- one\n- two\n",
        "a.txt",
    )
    assert len(parsed.blocks) == 3 and parsed.blocks[0].text.endswith("goes on here.")
    assert texts(parsed, "list_item") == ["- one", "- two"]


# --- PDF ---


def test_pdf_headings_by_size_paragraphs_and_pages() -> None:
    long = "This sentence is long enough to run over the end of its line and on to the next one, in fact."
    parsed = parse(
        pdf(
            [
                [PdfLine("Leave", y=780, size=20), *pdf_page(long, "Short one.", top=740)],
                [PdfLine("Carry over", y=780, size=15), *pdf_page(long, top=740)],
            ],
            title="Leave policy",
        ),
        "a.pdf",
    )
    assert [(b.kind, b.level, b.text, b.page) for b in parsed.blocks] == [
        ("heading", 1, "Leave", 1),
        ("paragraph", 0, long, 1),
        ("paragraph", 0, "Short one.", 1),
        ("heading", 2, "Carry over", 2),
        ("paragraph", 0, long, 2),
    ]
    assert (parsed.title, parsed.page_count, parsed.properties["created"]) == (
        "Leave policy",
        2,
        "2024-03-15",
    )


def test_pdf_headings_by_the_outline() -> None:
    pages = [
        [PdfLine(f"Part {n}", y=780), *pdf_page("Some text that is no heading at all.", top=740)]
        for n in "AB"
    ]
    parsed = parse(pdf(pages, outline=[("Part A", 1), ("Part B", 2)]), "a.pdf")
    assert headings(parsed) == [(1, "Part A"), (1, "Part B")]


def test_pdf_running_headers_footers_and_page_numbers_are_left_out() -> None:
    pages = [
        [
            PdfLine("Company handbook", y=815, size=9),
            *pdf_page(f"Page {name} has a text of its own.", "And it ends here.", top=650),
            PdfLine(f"{number}", x=290, y=30, size=9),
        ]
        for number, name in enumerate(["one", "two", "three", "four"], 1)
    ]
    parsed = parse(pdf(pages), "a.pdf")
    assert texts(parsed)[0] == "Page one has a text of its own."
    assert len(parsed.blocks) == 8


def test_pdf_words_broken_at_a_line_end_are_mended() -> None:
    lines = [
        "The docu-",
        "ment of the long-term plan was kept, and so was the long-",
        "term budget of the year.",
    ]
    parsed = parse(pdf([[PdfLine(text, y=700 - 13 * i) for i, text in enumerate(lines)]]), "a.pdf")
    assert texts(parsed) == [
        "The document of the long-term plan was kept, and so was the long-term budget of the year."
    ]


def test_pdf_of_pictures_asks_for_text_recognition() -> None:
    with pytest.raises(UnreadableFile) as caught:
        parse(scanned_pdf(), "scan.pdf")
    assert caught.value.reason == "no-text"
    assert "OCR" in caught.value.hint and "scan.pdf" in caught.value.message
