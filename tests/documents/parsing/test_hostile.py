"""Bad files: each is refused with its name, the reason and what to do, and nothing else happens."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.documents.parsing import PARSERS, ParsingLimits, check_name, parse
from engine.errors import UnreadableFile
from tests.documents.make_files import (
    Sheet,
    docx,
    docx_of_xml,
    encrypted_office,
    lying_zip_bomb,
    ods,
    pdf,
    pdf_page,
    pptx,
    with_part,
    xlsx,
    zip_bomb,
    zipped,
)

PDF = pdf([pdf_page("Some text.")])
DOCX = docx("Some text.")
ENTITIES = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>'


def refusal(content: bytes, file_name: str, limits: ParsingLimits | None = None) -> UnreadableFile:
    with pytest.raises(UnreadableFile) as caught:
        parse(content, file_name, limits)
    assert file_name in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("reason", "file_name", "make"),
    [
        ("empty", "a.pdf", lambda: b""),
        ("empty", "a.docx", lambda: docx("")),
        ("empty", "a.txt", lambda: b"\n \n"),
        ("empty", "a.csv", lambda: b",,\n,,\n"),
        ("encrypted", "a.pdf", lambda: pdf([pdf_page("secret")], encrypted=True)),
        ("encrypted", "a.docx", encrypted_office),
        ("encrypted", "a.xlsx", encrypted_office),
        ("encrypted", "a.pptx", encrypted_office),
        ("encrypted", "a.xls", encrypted_office),
        ("encrypted", "a.ods", lambda: ods("s", [["a", "b"]], encrypted=True)),
        ("truncated", "a.pdf", lambda: PDF[:200]),
        ("truncated", "a.docx", lambda: DOCX[: len(DOCX) // 2]),
        ("truncated", "a.xlsx", lambda: xlsx(Sheet("s", [["a"]]))[:-30]),
        ("mislabelled", "a.txt", lambda: PDF),
        ("mislabelled", "a.md", lambda: DOCX),
        ("mislabelled", "a.csv", lambda: xlsx(Sheet("s", [["a"]]))),
        ("mislabelled", "a.pdf", lambda: DOCX),
        ("mislabelled", "a.pdf", lambda: b"just words"),
        ("mislabelled", "a.docx", lambda: b"just words"),
        ("mislabelled", "a.docx", lambda: xlsx(Sheet("s", [["a"]]))),
        ("mislabelled", "a.docx", lambda: zipped({"readme.txt": "hello"})),
        ("mislabelled", "a.doc", lambda: b"{\\rtf1 hello}"),
        ("mislabelled", "a.txt", lambda: b"\x7fELF" + bytes(range(256)) * 10),
        ("mislabelled", "a.txt", lambda: b"hello" + b"\0\1\2\3\4\5\6\7" * 1000),
        ("damaged", "a.txt", lambda: b"\0" * 5000),
        ("damaged", "a.docx", lambda: with_part(DOCX, "word/document.xml", b"<w:document")),
        ("archive-bomb", "a.docx", zip_bomb),
        ("archive-bomb", "a.docx", lying_zip_bomb),
        ("entities", "a.docx", lambda: with_part(DOCX, "word/document.xml", ENTITIES)),
        ("entities", "a.xlsx", lambda: with_part(xlsx(Sheet("s", [["a"]])), "xl/workbook.xml", ENTITIES)),
        ("too-complex", "a.docx", lambda: docx_of_deep_xml(2_000)),
        ("too-complex", "a.html", lambda: b"<div>" * 100_000 + b"text"),
        ("unsupported", "a.exe", lambda: b"MZ"),
        ("unsupported", "README", lambda: b"text"),
    ],
)
def test_bad_files_are_refused_with_their_reason(
    reason: str, file_name: str, make: Callable[[], bytes]
) -> None:
    error = refusal(make(), file_name)
    assert error.reason == reason, error
    assert error.hint or reason == "empty"


def docx_of_deep_xml(depth: int) -> bytes:
    part = b"<w:document xmlns:w='x'>" + b"<w:p>" * depth + b"</w:p>" * depth + b"</w:document>"
    return with_part(DOCX, "word/document.xml", part)


def test_what_a_mislabelled_file_seems_to_be_is_said() -> None:
    assert "it seems to be a PDF" in refusal(PDF, "notes.txt").message
    assert "a Word document" in refusal(DOCX, "report.pdf").message
    assert "an RTF document" in refusal(b"{\\rtf1 hello}", "letter.doc").message


@pytest.mark.parametrize(
    ("file_name", "make", "limits"),
    [
        ("a.txt", lambda: b"x" * 2_000, ParsingLimits(max_file_bytes=1_000)),
        ("a.txt", lambda: b"word " * 1_000, ParsingLimits(max_text_characters=1_000)),
        ("a.docx", lambda: docx(*["word " * 50] * 50), ParsingLimits(max_text_characters=1_000)),
        (
            "a.pdf",
            lambda: pdf([pdf_page(" ".join(map(str, range(500))))]),
            ParsingLimits(max_text_characters=1_000),
        ),
        ("a.pdf", lambda: pdf([pdf_page("x")] * 4), ParsingLimits(max_pages=3)),
        ("a.pptx", lambda: pptx([("x", [], "")] * 4), ParsingLimits(max_pages=3)),
        ("a.xlsx", lambda: xlsx(*[Sheet(f"s{i}", [["x"]]) for i in range(4)]), ParsingLimits(max_pages=3)),
        ("a.xlsx", lambda: xlsx(Sheet("s", [["x"] * 10_000])), ParsingLimits()),
        ("a.csv", lambda: b",".join([b"x"] * 10_000), ParsingLimits()),
        ("a.html", lambda: b"<table><tr>" + b"<td>x" * 10_000, ParsingLimits()),
        ("a.xlsx", lambda: xlsx(Sheet("s", [["x", 1]] * 50)), ParsingLimits(max_rows=20)),
        ("a.csv", lambda: b"x,1\n" * 50, ParsingLimits(max_rows=20)),
        ("a.docx", lambda: docx("x" * 100_000), ParsingLimits(max_uncompressed_bytes=50_000)),
    ],
)
def test_every_limit_refuses_rather_than_cuts(
    file_name: str, make: Callable[[], bytes], limits: ParsingLimits
) -> None:
    assert refusal(make(), file_name, limits).reason == "too-large"


def test_stray_formats_far_to_the_right_of_a_sheet_do_not_count() -> None:
    row: list[str | float | None] = ["Tên", "Giá", *[None] * 600, ""]
    assert parse(xlsx(Sheet("s", [row, ["Bàn", 3]])), "a.xlsx").blocks[-1].text == "Bàn | 3"


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd.txt",
        "a/b.txt",
        "a\\b.txt",
        "a\nb.txt",
        "a\0b.txt",
        "\x1b[31mred.txt",
        "invoice\u202efdp.txt",
        "CON.txt",
        "nul",
        "lpt1.docx",
        "",
        " ",
        "..",
        "x" * 300 + ".txt",
    ],
)
def test_hostile_names_are_refused_and_shown_safely(name: str) -> None:
    with pytest.raises(UnreadableFile) as caught:
        check_name(name)
    assert caught.value.reason == "name"
    assert caught.value.message.isprintable() and len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("Báo cáo  (cuối).docx", "Báo cáo (cuối).docx"),
        ("Ba\u0301o ca\u0301o.docx", "Báo cáo.docx"),
        ("in\u200bvoice\u00ad.txt", "invoice.txt"),
        ("'; drop table documents; --.txt", "'; drop table documents; --.txt"),
        ("📎 note.md", "📎 note.md"),
    ],
)
def test_unusual_but_honest_names_are_kept(given_name: str, kept: str) -> None:
    assert check_name(given_name) == kept


@settings(max_examples=150, deadline=None)
@given(content=st.binary(max_size=2_000), extension=st.sampled_from(sorted(set(PARSERS) - {"doc"})))
def test_no_bytes_raise_anything_but_unreadable_file(content: bytes, extension: str) -> None:
    with suppress(UnreadableFile):
        assert parse(content, f"a.{extension}").blocks


@settings(max_examples=60, deadline=None)
@given(data=st.data(), extension=st.sampled_from(["pdf", "docx", "xlsx", "pptx"]))
def test_no_damage_raises_anything_but_unreadable_file(data: st.DataObject, extension: str) -> None:
    whole = {"pdf": PDF, "docx": DOCX, "xlsx": SHEET, "pptx": SLIDES}[extension]
    place = data.draw(st.integers(0, len(whole) - 1))
    damage = data.draw(st.binary(min_size=1, max_size=40))
    with suppress(UnreadableFile):
        parse(whole[:place] + damage + whole[place + len(damage) :], f"a.{extension}")


SHEET = xlsx(Sheet("s", [["a", "b"], ["c", 1]]))
SLIDES = pptx([("title", ["text"], "notes")])


def test_a_million_cells_are_refused_quickly() -> None:
    started = time.monotonic()
    assert refusal(b"a,b\n" * 300_000, "a.csv").reason == "too-large"
    assert time.monotonic() - started < 10


def test_limits_do_not_change_what_is_read_within_them() -> None:
    content = docx(("Heading 1", "One"), "text")
    assert parse(content, "a.docx") == parse(content, "a.docx", replace(ParsingLimits(), max_pages=1))


def test_external_entities_are_not_fetched() -> None:
    content = docx_of_xml("<w:p><w:r><w:t>text</w:t></w:r></w:p>")
    part = (
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
        b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        b"<w:body><w:p><w:r><w:t>&a;</w:t></w:r></w:p></w:body></w:document>"
    )
    assert refusal(with_part(content, "word/document.xml", part), "a.docx").reason == "entities"
