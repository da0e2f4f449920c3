"""PDF through PDFium, a page at a time; `pdf_layout` makes paragraphs and headings of its lines."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from contextlib import closing

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from engine.documents.model import ParsedDocument
from engine.documents.parsing.blocks import BlockBuilder
from engine.documents.parsing.pdf_layout import Line, OutlineEntry, add_paragraphs
from engine.documents.parsing.source import Source
from engine.text.normalisation import normalise

_LINE_END = re.compile(r"\r?\n")
_MONOSPACED = re.compile(r"mono|courier|consol|typewriter|cmtt|menlo|fixed", re.IGNORECASE)
_BOLD_NAME = re.compile(r"bold|black|heavy|semibold", re.IGNORECASE)
_BOLD = 600  # font weight from which letters are bold
_DATE = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?")
_FEW_LETTERS = 30  # a page; a scanner's own mark has fewer
_UNMAPPED = 0.3  # share of characters without a meaning, from which text is unusable
_SAMPLES = 4  # letters of a line whose font is looked at
_MAX_OUTLINE = 20_000


def parse(source: Source) -> ParsedDocument:
    builder = BlockBuilder(source)
    with closing(_open(source)) as document:
        page_count = len(document)
        builder.check_pages(page_count, "pages")
        lines: list[Line] = []
        bare: list[int] = []  # pages without text
        characters = 0
        for number in range(1, page_count + 1):
            text, found = _read_page(source, document, number)
            characters += len(text)
            builder.check_characters(characters)
            if not any(map(str.isalnum, text)):
                bare.append(number)
            lines += found
        if _is_scan(document, lines):
            raise source.refuse(
                "no-text",
                "its pages are pictures without text, as a scanner makes them.",
                "Run text recognition (OCR) on it first, for example with ocrmypdf, and upload the result.",
            )
        outline = list(_outline(document))
        told = document.get_metadata_dict()
    _refuse_unmapped(source, lines)
    add_paragraphs(builder, lines, outline, page_count)
    return builder.document(
        title=told.get("Title", ""),
        page_count=page_count,
        properties=[
            ("author", told.get("Author")),
            ("subject", told.get("Subject")),
            ("keywords", told.get("Keywords")),
            ("created", _date(told.get("CreationDate", ""))),
            ("modified", _date(told.get("ModDate", ""))),
            ("pages_without_text", ", ".join(map(str, bare))),
        ],
    )


def _open(source: Source) -> pdfium.PdfDocument:
    try:
        return pdfium.PdfDocument(source.content)
    except pdfium.PdfiumError as error:
        if "password" in str(error).lower() or "security" in str(error).lower():
            raise source.refuse(
                "encrypted", "it is protected with a password.", "Save a copy without the password."
            ) from error
        if b"%%EOF" not in source.read()[-2048:]:
            raise source.refuse("truncated", "its end is missing.", "Copy or download it again.") from error
        raise


def _read_page(source: Source, document: pdfium.PdfDocument, number: int) -> tuple[str, list[Line]]:
    try:
        with closing(document[number - 1]) as page, closing(page.get_textpage()) as text_page:
            text = text_page.get_text_range()
            return text, list(_lines(text_page, text, number))
    except pdfium.PdfiumError as error:
        raise source.refuse(
            "damaged", f"its page {number} cannot be read.", "Open it in a PDF program and save it again."
        ) from error


def _lines(text_page: pdfium.PdfTextPage, text: str, page: int) -> Iterator[Line]:
    last = text_page.count_chars() - 1
    position = 0
    for raw in _LINE_END.split(text):
        stripped = raw.strip()
        if stripped:
            first = min(position + raw.index(stripped[0]), last)
            end = min(position + len(raw.rstrip()) - 1, last)
            left, bottom, _, top = text_page.get_charbox(first, loose=True)
            _, end_bottom, right, _ = text_page.get_charbox(end, loose=True)
            fonts = [_font(text_page, index) for index in _samples(raw, position, last)]
            size = max(
                pdfium_c.FPDFText_GetFontSize(text_page.raw, first),
                pdfium_c.FPDFText_GetFontSize(text_page.raw, end),
            )
            # Some programs write every text at size 1 and scale it; the box tells its height.
            yield Line(
                text=raw,
                page=page,
                left=left,
                right=right,
                top=top,
                bottom=bottom,
                end_bottom=end_bottom,
                size=round(size if size > 3 else top - bottom, 1),
                bold=all(bold for bold, _ in fonts),
                mono=all(mono for _, mono in fonts),
            )
        position += len(raw) + 2


def _samples(line: str, position: int, last: int) -> set[int]:
    """Some letters of a line, as indices of the page's characters: its first, its last and a few between."""
    letters = [index for index, character in enumerate(line) if not character.isspace()]
    return {min(position + letters[len(letters) * i // _SAMPLES], last) for i in range(_SAMPLES)} | {
        min(position + letters[-1], last)
    }


def _font(text_page: pdfium.PdfTextPage, index: int) -> tuple[bool, bool]:
    """Whether a character is bold, and whether it is monospaced."""
    buffer = ctypes.create_string_buffer(128)
    flags = ctypes.c_int()
    length = pdfium_c.FPDFText_GetFontInfo(text_page.raw, index, buffer, 128, ctypes.byref(flags))
    name = buffer.value.decode("utf-8", "replace") if 0 < length <= 128 else ""
    weight = pdfium_c.FPDFText_GetFontWeight(text_page.raw, index)
    return weight >= _BOLD or bool(_BOLD_NAME.search(name)), bool(_MONOSPACED.search(name) or flags.value & 1)


def _outline(document: pdfium.PdfDocument) -> Iterator[OutlineEntry]:
    for count, bookmark in enumerate(document.get_toc()):
        if count >= _MAX_OUTLINE:
            return
        destination = bookmark.get_dest()
        index = destination.get_index() if destination is not None else None
        if title := normalise(bookmark.get_title() or ""):
            yield OutlineEntry(title, bookmark.level + 1, None if index is None else index + 1)


def _is_scan(document: pdfium.PdfDocument, lines: list[Line]) -> bool:
    """Whether nearly all that the pages show is pictures; a scanning program may sign each of them."""
    letters = sum(character.isalnum() for line in lines for character in line.text)
    if letters == 0 or letters >= _FEW_LETTERS * len(document):
        return letters == 0
    pictures = 0
    for page in document:
        pictures += any(True for _ in page.get_objects([pdfium_c.FPDF_PAGEOBJ_IMAGE], max_depth=3))
        page.close()
    return pictures > len(document) / 2


def _refuse_unmapped(source: Source, lines: list[Line]) -> None:
    text = "".join(line.text for line in lines)
    unmapped = sum(character == "\ufffd" or "\ue000" <= character <= "\uf8ff" for character in text)
    if unmapped > _UNMAPPED * len(text):
        raise source.refuse(
            "no-text",
            "its fonts do not tell which letters they draw, so its text cannot be taken.",
            "Print it to a new PDF, or run text recognition (OCR) on it.",
        )


def _date(text: str) -> str:
    """A PDF date, "D:20230306180657Z", as "2023-03-06"; empty if it is none."""
    match = _DATE.match(text)
    return "-".join((match[1], match[2] or "01", match[3] or "01")) if match else ""
