"""Builds files of every format for the tests, honest and hostile ones; each as bytes."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

from docx import Document
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from PIL import Image
from pptx import Presentation
from pptx.util import Inches

VIETNAMESE = (
    "Điều khoản này quy định việc lựa chọn nhà thầu; tiếng Việt đủ dấu: ằẵẳặ ếềểễệ ơờởỡợ ưừửữự ỳỵỷỹ đĐ."
)


# --- PDF ---


@dataclass(frozen=True)
class PdfLine:
    """Text at a place of a page of 595 × 842 points, measured from its lower left corner."""

    text: str
    x: float = 72
    y: float = 700
    size: float = 11
    bold: bool = False


@dataclass
class _Letters:
    """Codes of a font made as needed: one byte for each different character."""

    codes: dict[str, int] = field(default_factory=dict)

    def encode(self, text: str) -> str:
        for character in text:
            if character not in self.codes:
                self.codes[character] = len(self.codes) + 33  # above the control codes
        assert len(self.codes) < 220
        return "".join(f"{self.codes[character]:02x}" for character in text)

    def to_unicode(self) -> bytes:
        lines = "\n".join(
            f"<{code:02x}> <{character.encode('utf-16-be').hex()}>" for character, code in self.codes.items()
        )
        return (
            "/CIDInit /ProcSet findresource begin begincmap /CMapType 2 def\n"
            "1 begincodespacerange <00> <ff> endcodespacerange\n"
            f"{len(self.codes)} beginbfchar\n{lines}\nendbfchar\nendcmap end"
        ).encode()


def pdf(
    pages: Sequence[Sequence[PdfLine]],
    *,
    title: str = "",
    outline: Sequence[tuple[str, int]] = (),
    encrypted: bool = False,
) -> bytes:
    """A PDF that holds exactly these lines. outline: (title, page from 1) of its bookmarks."""
    letters = _Letters()
    contents = [
        "\n".join(
            f"BT /{'B' if line.bold else 'R'} {line.size} Tf {line.x} {line.y} Td "
            f"<{letters.encode(line.text)}> Tj ET"
            for line in page
        ).encode()
        for page in pages
    ]
    objects: list[bytes] = []

    def add(body: bytes) -> int:
        objects.append(body)
        return len(objects)

    catalog, tree = add(b""), add(b"")
    cmap = letters.to_unicode()
    unicode_map = add(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(cmap), cmap))
    widths = " ".join(str(480 + code % 3 * 20) for code in range(256)).encode()
    fonts = []
    for name, weight in (("Helvetica", 400), ("Helvetica-Bold", 700)):
        descriptor = add(
            b"<< /Type /FontDescriptor /FontName /%s /Flags 32 /FontWeight %d /Ascent 800 /Descent -200 "
            b"/ItalicAngle 0 /CapHeight 700 /StemV 80 /FontBBox [0 -200 1000 900] >>"
            % (name.encode(), weight)
        )
        fonts.append(
            add(
                b"<< /Type /Font /Subtype /Type1 /BaseFont /%s /FirstChar 0 /LastChar 255 /Widths [%s] "
                b"/FontDescriptor %d 0 R /ToUnicode %d 0 R >>"
                % (name.encode(), widths, descriptor, unicode_map)
            )
        )
    kids = []
    for content in contents:
        packed = zlib.compress(content)
        stream = add(b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(packed), packed))
        kids.append(
            add(
                b"<< /Type /Page /Parent %d 0 R /MediaBox [0 0 595 842] /Contents %d 0 R "
                b"/Resources << /Font << /R %d 0 R /B %d 0 R >> >> >>" % (tree, stream, *fonts)
            )
        )
    objects[tree - 1] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (
        len(kids),
        b" ".join(b"%d 0 R" % kid for kid in kids),
    )
    outlines = b""
    if outline:
        root = add(b"")
        first = len(objects) + 1
        for index, (entry, page) in enumerate(outline):
            text = b"\xfe\xff" + entry.encode("utf-16-be")
            links = b"/Next %d 0 R" % (first + index + 1) if index + 1 < len(outline) else b""
            add(
                b"<< /Title <%s> /Parent %d 0 R /Dest [%d 0 R /Fit] %s >>"
                % (text.hex().encode(), root, kids[page - 1], links)
            )
        objects[root - 1] = b"<< /Type /Outlines /First %d 0 R /Last %d 0 R /Count %d >>" % (
            first,
            len(objects),
            len(outline),
        )
        outlines = b"/Outlines %d 0 R" % root
    objects[catalog - 1] = b"<< /Type /Catalog /Pages %d 0 R %s >>" % (tree, outlines)
    info = add(
        b"<< /Title <%s> /CreationDate (D:20240315120000Z) >>"
        % ("\ufeff" + title).encode("utf-16-be").hex().encode()
    )
    extra = b"/Info %d 0 R" % info
    if encrypted:
        secret = b"ab" * 32
        crypt = add(b"<< /Filter /Standard /V 1 /R 2 /O <%s> /U <%s> /P -4 >>" % (secret, secret))
        extra += b" /Encrypt %d 0 R /ID [<00> <00>]" % crypt
    return _pdf_file(objects, catalog, extra)


def _pdf_file(objects: Sequence[bytes], root: int, extra: bytes) -> bytes:
    out = io.BytesIO()
    out.write(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    table = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.writelines(b"%010d 00000 n \n" % place for place in places)
    out.write(b"trailer\n<< /Size %d /Root %d 0 R %s >>\n" % (len(objects) + 1, root, extra))
    out.write(b"startxref\n%d\n%%%%EOF\n" % table)
    return out.getvalue()


def pdf_page(*paragraphs: str, top: float = 760, width: int = 80) -> list[PdfLine]:
    """Lines of a page of plain paragraphs, broken at `width` characters, with a gap between them."""
    lines: list[PdfLine] = []
    y = top
    for paragraph in paragraphs:
        for line in wrap(paragraph, width):
            lines.append(PdfLine(line, y=y))
            y -= 13
        y -= 10
    return lines


def wrap(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) + 1 > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def scanned_pdf(pages: int = 2) -> bytes:
    """Pages that are pictures."""
    stream = io.BytesIO()
    image = Image.effect_noise((200, 280), 60)
    image.save(stream, "PDF", save_all=True, append_images=[image] * (pages - 1))
    return stream.getvalue()


# --- Office ---


def docx(*blocks: str | tuple[str, str] | list[list[str]], title: str = "") -> bytes:
    """Paragraphs; (style, text) for styled ones; a list of rows for a table."""
    document = Document()
    document.core_properties.title = title
    for block in blocks:
        if isinstance(block, str):
            document.add_paragraph(block)
        elif isinstance(block, tuple):
            document.add_paragraph(block[1], style=block[0])
        else:
            add_docx_table(document, block)
    return saved(document)


def add_docx_table(document: object, rows: list[list[str]]) -> None:
    table = document.add_table(len(rows), len(rows[0]))  # type: ignore[attr-defined]
    for row, texts in zip(table.rows, rows, strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text


def saved(document: object) -> bytes:
    stream = io.BytesIO()
    document.save(stream)  # type: ignore[attr-defined]
    return stream.getvalue()


def docx_of_xml(body: str) -> bytes:
    """A document whose body is this WordprocessingML (prefixes w, wp, wps, mc, a and v are known)."""
    document = Document()
    namespaces = nsdecls("w", "wp", "a", "r") + (
        ' xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"'
        ' xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
        ' xmlns:v="urn:schemas-microsoft-com:vml"'
    )
    for child in parse_xml(f"<w:body {namespaces}>{body}</w:body>"):
        document.element.body.insert(len(document.element.body) - 1, child)
    return saved(document)


def pptx(slides: Sequence[tuple[str, Sequence[str], str]], table: list[list[str]] | None = None) -> bytes:
    """Slides as (title, bullets, notes); the table goes onto the last one."""
    presentation = Presentation()
    slide = None
    for title, bullets, notes in slides:
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = "\n".join(bullets)
        if notes:
            slide.notes_slide.notes_text_frame.text = notes
    if table and slide is not None:
        shape = slide.shapes.add_table(len(table), len(table[0]), Inches(1), Inches(4), Inches(8), Inches(2))
        for row, texts in zip(shape.table.rows, table, strict=True):
            for cell, text in zip(row.cells, texts, strict=True):
                cell.text = text
    return saved(presentation)


@dataclass(frozen=True)
class Sheet:
    """rows: text, numbers or None. merged: ranges such as "A1:C1"."""

    name: str
    rows: Sequence[Sequence[str | float | None]]
    merged: Sequence[str] = ()
    hidden: bool = False


def xlsx(*sheets: Sheet) -> bytes:
    parts: dict[str, str] = {}
    for number, sheet in enumerate(sheets, 1):
        rows = ""
        for r, row in enumerate(sheet.rows, 1):
            cells = "".join(_cell(c, r, value) for c, value in enumerate(row) if value is not None)
            rows += f'<row r="{r}">{cells}</row>'
        merges = "".join(f'<mergeCell ref="{area}"/>' for area in sheet.merged)
        merges = f"<mergeCells>{merges}</mergeCells>" if merges else ""
        parts[f"xl/worksheets/sheet{number}.xml"] = (
            f'<worksheet xmlns="{_SHEET}"><sheetData>{rows}</sheetData>{merges}</worksheet>'
        )
    listed = ""
    for number, sheet in enumerate(sheets, 1):
        state = 'state="hidden" ' if sheet.hidden else ""
        listed += f'<sheet name={quoteattr(sheet.name)} sheetId="{number}" {state}r:id="rId{number}"/>'
    parts["xl/workbook.xml"] = (
        f'<workbook xmlns="{_SHEET}" xmlns:r="{_OFFICE}"><sheets>{listed}</sheets></workbook>'
    )
    parts["xl/_rels/workbook.xml.rels"] = _relationships(
        (f"rId{n}", f"{_OFFICE}/worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(sheets) + 1)
    )
    parts["_rels/.rels"] = _relationships([("rId1", f"{_OFFICE}/officeDocument", "xl/workbook.xml")])
    parts["[Content_Types].xml"] = (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/></Types>'
    )
    return zipped(parts)


_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def _relationships(entries: Iterable[tuple[str, str, str]]) -> str:
    links = "".join(
        f'<Relationship Id="{i}" Type="{kind}" Target="{target}"/>' for i, kind, target in entries
    )
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{links}</Relationships>'


def _cell(column: int, row: int, value: str | float) -> str:
    name = ""
    column += 1
    while column:
        column, digit = divmod(column - 1, 26)
        name = chr(65 + digit) + name
    if isinstance(value, str):
        return f'<c r="{name}{row}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    return f'<c r="{name}{row}"><v>{value}</v></c>'


def ods(name: str, rows: Sequence[Sequence[str]], *, encrypted: bool = False) -> bytes:
    cells = "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell office:value-type="string"><text:p>{escape(text)}</text:p></table:table-cell>'
            for text in row
        )
        + "</table:table-row>"
        for row in rows
    )
    space = "urn:oasis:names:tc:opendocument:xmlns"
    manifest = "<manifest><encryption-data/></manifest>" if encrypted else "<manifest/>"
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
            "META-INF/manifest.xml": manifest,
            "content.xml": f'<office:document-content xmlns:office="{space}:office:1.0" '
            f'xmlns:table="{space}:table:1.0" xmlns:text="{space}:text:1.0"><office:body><office:spreadsheet>'
            f"<table:table table:name={quoteattr(name)}>{cells}</table:table>"
            "</office:spreadsheet></office:body></office:document-content>",
        }
    )


# --- hostile ---


def zipped(parts: dict[str, str | bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return stream.getvalue()


def with_part(office_file: bytes, name: str, content: bytes) -> bytes:
    """An Office file with one part replaced or added."""
    with zipfile.ZipFile(io.BytesIO(office_file)) as archive:
        parts: dict[str, str | bytes] = {member: archive.read(member) for member in archive.namelist()}
    return zipped(parts | {name: content})


def zip_bomb(megabytes: int = 120) -> bytes:
    """A Word file that unpacks to a great many zeros."""
    return with_part(docx("text"), "word/media/image1.bin", b"\0" * (megabytes * 1_000_000))


def lying_zip_bomb(megabytes: int = 120) -> bytes:
    """The same, its directory claiming that every part has ten bytes."""
    content = bytearray(zip_bomb(megabytes))
    place = content.find(b"PK\x01\x02")
    while place >= 0:
        content[place + 24 : place + 28] = struct.pack("<I", 10)
        place = content.find(b"PK\x01\x02", place + 4)
    return bytes(content)


def encrypted_office() -> bytes:
    """What Office writes with a password: an old-style container around the real file."""
    return (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
        + b"\0" * 504
        + "EncryptedPackage".encode("utf-16-le")
        + b"\0" * 2000
    )
