"""Hostile files, each by the name of its trick: what it is called, what is in it, what it must come to."""

# ruff: noqa: E501 (one trick a line)

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from PIL import Image

from tests.documents.make_files import (
    Sheet,
    docx,
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

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_S = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
READ = "read"


@dataclass(frozen=True)
class HostileFile:
    """comes_to: reasons of refusal that are right, or `READ` where what is harmless is read."""

    file_name: str
    make: Callable[[], bytes]
    comes_to: frozenset[str]


@cache
def _good(extension: str) -> bytes:
    return {
        "docx": lambda: docx(("Heading 1", "One"), "Some text.", [["a", "b"], ["c", "d"]]),
        "xlsx": lambda: xlsx(Sheet("s", [["a", "b"], ["c", 1]])),
        "pptx": lambda: pptx([("title", ["text"], "notes")]),
        "ods": lambda: ods("s", [["a", "b"]]),
        "pdf": lambda: pdf([pdf_page("Some text.")] * 2, outline=[("One", 1)]),
    }[extension]()


_MAIN = {
    "docx": "word/document.xml",
    "xlsx": "xl/workbook.xml",
    "pptx": "ppt/presentation.xml",
    "ods": "content.xml",
}
_TEXT = b"Meals abroad are refunded up to 45 euros a day."


def _names() -> Iterator[tuple[str, str]]:
    for number, name in enumerate(
        [
            "../a.txt",
            "../../../../etc/passwd.txt",
            "..\\..\\a.txt",
            "/etc/cron.d/a.txt",
            "C:\\Windows\\a.txt",
            "\\\\server\\share\\a.txt",
            "a/../../b.txt",
            "a\0.txt",
            "a.txt\0.exe",
            "a\r\nSet-Cookie: x.txt",
            "a\nb.txt",
            "a\tb.txt",
            "\x1b]0;x\x07a.txt",
            "\x7f.txt",
            "\x85a.txt",
            "invoice\u202etxt.exe",
            "a\u202dx.txt",
            "a\u2066b\u2069.txt",
            "a\u2067b.txt",
            "CON.txt",
            "con",
            "PRN.docx",
            "AUX.pdf",
            "NUL.txt",
            "nul.tar.txt",
            "COM1.txt",
            "com9.csv",
            "LPT1.txt",
            "CLOCK$.txt",
            "",
            " ",
            ".",
            "..",
            "...",
            ". .",
            "x" * 256 + ".txt",
            "ế" * 300 + ".txt",
            "%2e%2e%2f/a.txt",
            "file:///etc/passwd.txt",
            "a.txt/",
        ]
    ):
        yield f"name {number:02d}: {name[:24]!r}", name


def _spoilt() -> Iterator[tuple[str, HostileFile]]:
    """Every format, empty, cut, and with the content of another."""
    cut = frozenset({"truncated", "damaged", "mislabelled", "empty", "encrypted", "too-complex"})
    for extension in ("pdf", "docx", "xlsx", "pptx", "ods", "xls"):
        good = _good(extension) if extension != "xls" else encrypted_office()
        for trick, content in {
            "nothing": b"",
            "zeros": b"\0" * 4096,
            "its first byte": good[:1],
            "its beginning": good[: len(good) // 3],
            "without its end": good[:-40],
            "its end": good[len(good) // 2 :],
            "noise": bytes((n * 7919 + n // 7) % 256 for n in range(5000)),
            "noise behind its signature": good[:8] + bytes((n * 31) % 251 for n in range(5000)),
            "words": _TEXT,
            "a web page": b"<html><script>alert(1)</script></html>",
        }.items():
            allowed = cut | ({READ} if extension == "pdf" and trick == "without its end" else frozenset())
            yield (
                f"{extension}: {trick}",
                HostileFile(f"a.{extension}", lambda content=content: content, allowed),
            )
    for extension in ("txt", "md", "csv", "html", "pdf", "docx", "xls", "doc"):
        for kind, content in _SIGNED.items():
            if (extension in ("xls", "doc") and kind == "old Office") or (extension, kind) == ("pdf", "PDF"):
                continue
            yield (
                f"{extension}: {kind} inside",
                HostileFile(
                    f"a.{extension}",
                    lambda content=content: content + b"\0\1\2\3" * 500,
                    frozenset({"mislabelled", "damaged", "truncated", "encrypted"}),
                ),
            )


_SIGNED = {
    "PDF": b"%PDF-1.7\n",
    "old Office": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "RTF": b"{\\rtf1{\\object\\objemb}}",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "JPEG": b"\xff\xd8\xff\xe0",
    "GIF": b"GIF89a",
    "gzip": b"\x1f\x8b\x08",
    "7-Zip": b"7z\xbc\xaf\x27\x1c",
    "RAR": b"Rar!\x1a\x07",
    "Windows program": b"MZ\x90\0",
    "ELF program": b"\x7fELF\2\1\1",
    "SQLite": b"SQLite format 3\0",
}


def _archive(extension: str, change: Callable[[zipfile.ZipFile], None]) -> bytes:
    stream = io.BytesIO(_good(extension))
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        change(archive)
    return stream.getvalue()


def _member(name: str, content: bytes = b"x") -> Callable[[zipfile.ZipFile], None]:
    def add(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("placeholder")
        info.filename = name  # its own constructor would tidy it
        archive.writestr(info, content)

    return add


def _link(archive: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("word/media/link.png")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    archive.writestr(info, "/etc/passwd")


def _patched(content: bytes, mark: bytes, offset: int, value: bytes) -> bytes:
    changed = bytearray(content)
    place = changed.find(mark)
    while place >= 0:
        changed[place + offset : place + offset + len(value)] = value
        place = changed.find(mark, place + 4)
    return bytes(changed)


def _laughs(kind: str) -> bytes:
    lines = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    declared = {
        "billion laughs": f'<!DOCTYPE x [<!ENTITY a0 "ha">{lines}]>',
        "quadratic blow-up": f'<!DOCTYPE x [<!ENTITY a9 "{"A" * 50_000}">]>',
        "file": '<!DOCTYPE x [<!ENTITY a9 SYSTEM "file:///etc/passwd">]>',
        "web": '<!DOCTYPE x [<!ENTITY a9 SYSTEM "http://127.0.0.1:1/x">]>',
        "parameter": '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:1/x.dtd"> %p;]>',
        "outer subset": '<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">',
        "after a long comment": f'<!--{"x" * 300_000}--><!DOCTYPE x [<!ENTITY a9 "x">]>',
    }
    text = f'<?xml version="1.0"?>{declared.get(kind, declared["billion laughs"])}<x>&a9;</x>'
    if kind == "UTF-16":
        return text.replace('"1.0"', '"1.0" encoding="UTF-16"', 1).encode("utf-16")
    if kind == "UTF-16 without a mark":
        return text.replace('"1.0"', '"1.0" encoding="UTF-16BE"', 1).encode("utf-16-be")
    if kind == "UTF-7":
        body = text.replace('"1.0"', '"1.0" encoding="UTF-7"', 1)
        head, rest = body.split("?>", 1)
        return f"{head}?>".encode() + rest.encode("utf-7").replace(b"<!", b"+ADwAIQ-")
    return text.encode()


def _rels(kind: str, target: str) -> bytes:
    return (
        f'<Relationships xmlns="{_RELATIONS}"><Relationship Id="rId9" Type="{_OFFICE}/{kind}" '
        f'Target="{target}" TargetMode="External"/></Relationships>'
    ).encode()


def _pictures() -> dict[str, tuple[str, bytes]]:
    """Small ones that say of themselves that they are of 60,000 by 60,000."""
    made = {}
    for kind, ending, place, order in (("PNG", "png", 16, "!II"), ("GIF", "gif", 6, "<HH"), ("BMP", "bmp", 18, "<ii"),
                                       ("JPEG", "jpg", 0, "!HH")):  # fmt: skip
        stream = io.BytesIO()
        Image.new("RGB", (8, 8)).save(stream, kind)
        content = bytearray(stream.getvalue())
        place = place or content.index(b"\xff\xc0") + 5
        struct.pack_into(order, content, place, 60_000, 60_000)
        if kind == "PNG":
            struct.pack_into("!I", content, 29, zlib.crc32(content[12:29]))
        made[kind] = (ending, bytes(content))
    return made


def _office() -> Iterator[tuple[str, HostileFile]]:
    def case(trick: str, extension: str, make: Callable[[], bytes], *reasons: str) -> tuple[str, HostileFile]:
        return f"{extension}: {trick}", HostileFile(f"a.{extension}", make, frozenset(reasons))

    for extension, main in _MAIN.items():
        for kind in (
            "billion laughs",
            "quadratic blow-up",
            "file",
            "web",
            "parameter",
            "outer subset",
            "after a long comment",
            "UTF-16",
            "UTF-16 without a mark",
            "UTF-7",
        ):
            yield case(
                f"entities, {kind}",
                extension,
                lambda e=extension, m=main, k=kind: with_part(_good(e), m, _laughs(k)),
                "entities",
            )
        for name in (
            "../../evil.xml",
            "/etc/passwd",
            "..\\evil.xml",
            "C:/evil.xml",
            "word/../../evil.xml",
            "a\x01b.xml",
            main,
            main.upper(),
        ):
            yield case(
                f"part called {name!r}",
                extension,
                lambda e=extension, n=name: _archive(e, _member(n)),
                "path-trick",
            )
        yield case(
            "bomb",
            extension,
            lambda e=extension: with_part(_good(e), "x/a.bin", b"\0" * 60_000_000),
            "archive-bomb",
        )
        yield case(
            "something before it",
            extension,
            lambda e=extension: b"PK\3\4" + b"junk" * 5 + _good(e),
            "polyglot",
            "truncated",
        )
        yield case("something after it", extension, lambda e=extension: _good(e) + b"\0<script>", "polyglot")
        yield case(
            "encrypted parts",
            extension,
            lambda e=extension: _patched(_patched(_good(e), b"PK\1\2", 8, b"\1\0"), b"PK\3\4", 6, b"\1\0"),
            "encrypted",
        )
        yield case(
            "a compression Office never uses",
            extension,
            lambda e=extension: _archive(e, lambda z: z.writestr("x.bin", b"x" * 500, zipfile.ZIP_LZMA)),
            "damaged",
        )
        yield case(
            "25,000 parts",
            extension,
            lambda e=extension: _archive(e, lambda z: [z.writestr(f"x/{n}", b"") for n in range(25_000)]),
            "too-complex",
        )
        yield case(
            "an archive in an archive",
            extension,
            lambda e=extension: _archive(
                e, _member("embeddings/inner.zip", zipped({"a": b"\0" * 10_000_000}))
            ),
            READ,
        )
        yield case(
            "nested 3,000 deep",
            extension,
            lambda e=extension, m=main: with_part(_good(e), m, b"<a>" * 3_000 + b"</a>" * 3_000),
            "too-complex",
            "damaged",
            "truncated",
            "empty",
        )
        yield case(
            "its main part is noise",
            extension,
            lambda e=extension, m=main: with_part(_good(e), m, bytes(range(256)) * 20),
            "damaged",
            "truncated",
            "empty",
            "too-complex",
        )
        yield case(
            "its main part is empty",
            extension,
            lambda e=extension, m=main: with_part(_good(e), m, b""),
            "damaged",
            "truncated",
            "empty",
        )
        for kind, (ending, picture) in _pictures().items():
            yield case(
                f"a {kind} of 3,600 million pixels",
                extension,
                lambda e=extension, n=ending, p=picture: with_part(_good(e), f"media/image1.{n}", p),
                "huge-image",
            )
    for extension, part in (("docx", "word"), ("xlsx", "xl"), ("pptx", "ppt")):
        for macro in ("vbaProject.bin", "vbaData.xml", "activeX/activeX1.bin", "macrosheets/sheet1.xml"):
            yield case(
                f"macros in {macro}",
                extension,
                lambda e=extension, p=part, m=macro: with_part(_good(e), f"{p}/{m}", b"x"),
                "macros",
            )
        for kind, target in (
            ("attachedTemplate", "http://127.0.0.1:1/evil.dotm"),
            ("attachedTemplate", "\\\\127.0.0.1\\share\\evil.dotm"),
            ("attachedTemplate", "file://server/share/evil.dotm"),
            ("oleObject", "https://127.0.0.1:1/evil"),
            ("frame", "http://127.0.0.1:1/evil"),
            ("subDocument", "ftp://127.0.0.1/evil"),
            ("aFChunk", "mhtml:http://127.0.0.1:1/evil"),
        ):
            yield case(
                f"{kind} from {target[:12]}",
                extension,
                lambda e=extension, p=part, k=kind, t=target: with_part(
                    _good(e), f"{p}/_rels/settings.xml.rels", _rels(k, t)
                ),
                "external-content",
            )
        yield case(
            "hyperlinks and pictures elsewhere are left alone",
            extension,
            lambda e=extension, p=part: with_part(
                _good(e), f"{p}/_rels/x.xml.rels", _rels("hyperlink", "https://evil.example/")
            ),
            READ,
        )
    yield case("a template in UTF-16", "docx", lambda: with_part(
        _good("docx"), "word/_rels/settings.xml.rels",
        _rels("attachedTemplate", "http://127.0.0.1:1/x").decode().encode("utf-16")), "external-content")  # fmt: skip
    yield case("macros", "ods", lambda: with_part(_good("ods"), "Basic/Standard/Module1.xml", b"x"), "macros")
    yield case("a bomb that lies", "docx", lying_zip_bomb, "archive-bomb")
    yield case("a bomb of zeros", "docx", zip_bomb, "archive-bomb")
    yield case("a link to /etc/passwd", "docx", lambda: _archive("docx", _link), READ)
    yield case("a row of 10,000 cells", "xlsx", lambda: xlsx(Sheet("s", [["x"] * 10_000])), "too-large")
    yield case("two cells at the far corners", "xlsx", _corners, "too-large", "too-complex")
    yield case("a million-fold repeated cell", "ods", _repeated, "too-large", "too-complex", "damaged", READ)
    yield case("a formula that calls out", "xlsx", lambda: xlsx(
        Sheet("s", [["=WEBSERVICE(\"http://127.0.0.1:1\")", "=cmd|'/C calc'!A0"]])), READ)  # fmt: skip
    yield case("a span of 10^9 columns", "docx", lambda: _word(
        '<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="999999999"/></w:tcPr><w:p><w:r><w:t>x</w:t></w:r></w:p>'
        "</w:tc></w:tr></w:tbl>"), "too-large", READ)  # fmt: skip
    yield case("a span that is no number", "docx", lambda: _word(
        '<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="x"/></w:tcPr><w:p><w:r><w:t>x</w:t></w:r></w:p>'
        "</w:tc></w:tr></w:tbl>"), "damaged", READ)  # fmt: skip
    yield case("a field that includes a file", "docx", lambda: _word(
        '<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>INCLUDETEXT "/etc/passwd" '
        'DDEAUTO c:\\\\windows\\\\system32\\\\cmd.exe</w:instrText></w:r><w:r><w:t>field</w:t></w:r></w:p>'), READ)  # fmt: skip


def _word(body: str) -> bytes:
    document = f'<w:document xmlns:w="{_W}"><w:body>{body}</w:body></w:document>'
    return with_part(_good("docx"), "word/document.xml", document.encode())


def _corners() -> bytes:
    cells = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'
    sheet = f'<worksheet xmlns="{_S}"><sheetData>{cells}</sheetData></worksheet>'
    return with_part(_good("xlsx"), "xl/worksheets/sheet1.xml", sheet.encode())


def _repeated() -> bytes:
    content = zipfile.ZipFile(io.BytesIO(_good("ods"))).read("content.xml").decode()
    repeated = content.replace(
        "<table:table-row>",
        '<table:table-row table:number-rows-repeated="1000000">',
    ).replace("<table:table-cell ", '<table:table-cell table:number-columns-repeated="16000" ')
    return with_part(_good("ods"), "content.xml", repeated.encode())


def _object_pdf(*objects: str, root: int = 1, tail: str = "") -> bytes:
    out = b"%PDF-1.7\n"
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    return (
        out
        + f"trailer\n<< /Size {len(objects) + 1} /Root {root} 0 R {tail} >>\nstartxref\n{table}\n%%EOF\n".encode()
    )


def _stream(content: bytes, more: str = "") -> str:
    packed = zlib.compress(content, 9)
    return f"<< /Length {len(packed)} /Filter /FlateDecode {more} >>\nstream\n{packed.decode('latin-1')}\nendstream"


def _pdfs() -> Iterator[tuple[str, HostileFile]]:
    page = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>"
    catalog, pages = "<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
    bad = frozenset(
        {"damaged", "truncated", "empty", "no-text", "too-large", "too-complex", "encrypted", READ}
    )
    tricks: dict[str, Callable[[], bytes]] = {
        "a tree of pages that is a ring": lambda: _object_pdf(catalog, "<< /Type /Pages /Kids [2 0 R] /Count 9 >>"),
        "no pages": lambda: _object_pdf(catalog, "<< /Type /Pages /Kids [] /Count 0 >>"),
        "minus five pages": lambda: _object_pdf(catalog, "<< /Type /Pages /Kids [3 0 R] /Count -5 >>", page),
        "two thousand million pages": lambda: _object_pdf(
            catalog, "<< /Type /Pages /Kids [3 0 R] /Count 2000000000 >>", page
        ),
        "a page of a million metres": lambda: _object_pdf(
            catalog, pages, page.replace("595 842", "99999999999 99999999999")
        ),
        "a page turned inside out": lambda: _object_pdf(catalog, pages, page.replace("[0 0 595 842]", "[9 9 -9e99 0]")),
        "an array nested 100,000 deep": lambda: _object_pdf(catalog, pages, page, "[" * 100_000 + "]" * 100_000),
        "a dictionary nested 50,000 deep": lambda: _object_pdf(
            catalog, pages, page, "<< /A " * 50_000 + ">>" * 50_000
        ),
        "content of 200 MB of zeros": lambda: _object_pdf(
            catalog, pages, page.replace(">>", "/Contents 4 0 R >>", 1), _stream(b"\0" * 200_000_000)
        ),
        "content packed twice": lambda: _object_pdf(
            catalog,
            pages,
            page.replace(">>", "/Contents 4 0 R >>", 1),
            _stream(zlib.compress(b"0 0 m " * 10_000_000, 9)).replace(
                "/FlateDecode", "[/FlateDecode /FlateDecode]"
            ),
        ),
        "a form that draws itself": lambda: _object_pdf(
            catalog,
            pages,
            page.replace(">>", "/Contents 4 0 R /Resources << /XObject << /F 5 0 R >> >> >>", 1),
            _stream(b"/F Do"),
            _stream(b"/F Do", "/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /F 5 0 R >> >>"),
        ),
        "an outline that is a ring": lambda: _object_pdf(
            catalog.replace(">>", "/Outlines 4 0 R >>"),
            pages,
            page,
            "<< /First 5 0 R /Last 5 0 R >>",
            "<< /Title (x) /Parent 4 0 R /Next 5 0 R /First 5 0 R >>",
        ),
        "a script that opens with it": lambda: _object_pdf(
            catalog.replace(">>", "/OpenAction << /S /JavaScript /JS (app.alert(1)) >> >>"), pages, page
        ),
        "a program that opens with it": lambda: _object_pdf(
            catalog.replace(">>", "/OpenAction << /S /Launch /F (/bin/sh) >> >>"), pages, page
        ),
        "an address that opens with it": lambda: _object_pdf(
            catalog.replace(">>", "/OpenAction << /S /URI /URI (http://127.0.0.1:1/) >> >>"), pages, page
        ),
        "a form sent when opened": lambda: _object_pdf(
            catalog.replace(">>", "/AcroForm << /XFA 4 0 R /Fields [] >> >>"), pages, page, _stream(_laughs("file"))
        ),
        "a table of objects that leads to itself": lambda: _object_pdf(catalog, pages, page, tail="/Prev 200"),
        "a length of minus one": lambda: _object_pdf(
            catalog, pages, page.replace(">>", "/Contents 4 0 R >>", 1), "<< /Length -1 >>\nstream\nx\nendstream"
        ),
        "a length that is itself": lambda: _object_pdf(
            catalog, pages, page.replace(">>", "/Contents 4 0 R >>", 1), "<< /Length 4 0 R >>\nstream\nx\nendstream"
        ),
        "object numbers past all bounds": lambda: _object_pdf(catalog, pages.replace("3 0", "4294967295 65535"), page),
        "a thousand filters": lambda: _object_pdf(
            catalog,
            pages,
            page.replace(">>", "/Contents 4 0 R >>", 1),
            f"<< /Length 3 /Filter [{'/FlateDecode ' * 1000}] >>\nstream\nabc\nendstream",
        ),
        "a title of control characters": lambda: pdf([pdf_page("Some text.")], title="\0\1\x1b[31m<script>"),
        "a picture of 10^10 pixels": lambda: _object_pdf(
            catalog,
            pages,
            page.replace(">>", "/Contents 5 0 R /Resources << /XObject << /I 4 0 R >> >> >>", 1),
            _stream(b"x", "/Subtype /Image /Width 100000 /Height 100000 /BitsPerComponent 8 /ColorSpace /DeviceRGB"),
            _stream(b"/I Do"),
        ),
        "a font that is noise": lambda: _object_pdf(
            catalog,
            pages,
            page.replace(">>", "/Contents 4 0 R /Resources << /Font << /F 5 0 R >> >> >>", 1),
            _stream(b"BT /F 12 Tf (text) Tj ET"),
            "<< /Type /Font /Subtype /TrueType /FontDescriptor 6 0 R >>",
            "<< /Type /FontDescriptor /FontFile2 7 0 R >>",
            _stream(bytes(range(256)) * 50),
        ),
    }  # fmt: skip
    for trick, make in tricks.items():
        yield f"pdf: {trick}", HostileFile("a.pdf", make, bad)
    polyglot = frozenset({"polyglot", "mislabelled"})
    good = _good("pdf")
    yield "pdf: an archive at its end", HostileFile("a.pdf", lambda: good + zipped({"a.js": b"x"}), polyglot)
    yield (
        "pdf: an archive at its beginning",
        HostileFile("a.pdf", lambda: b"PK\3\4" + b"\0" * 26 + good, polyglot),
    )
    yield "pdf: a web page first", HostileFile("a.pdf", lambda: b"<script>alert(1)</script>" + good, polyglot)
    yield "pdf: a picture first", HostileFile("a.pdf", lambda: b"GIF89a" + good, polyglot)
    yield "pdf: a program first", HostileFile("a.pdf", lambda: b"MZ" + b"\0" * 60 + good, polyglot)
    yield (
        "pdf: a password",
        HostileFile("a.pdf", lambda: pdf([pdf_page("secret")], encrypted=True), frozenset({"encrypted"})),
    )


def _texts() -> Iterator[tuple[str, HostileFile]]:
    harmless = frozenset({READ, "empty", "damaged", "mislabelled", "too-large", "too-complex"})
    long = b"word " * 200_000
    tricks: dict[str, tuple[str, Callable[[], bytes]]] = {
        "html: 100,000 elements deep": ("html", lambda: b"<div>" * 100_000 + _TEXT),
        "html: a million attributes": ("html", lambda: b"<p " + b"a=b " * 1_000_000 + b">" + _TEXT),
        "html: one attribute of 5 MB": ("html", lambda: b'<p title="' + b"x" * 5_000_000 + b'">' + _TEXT),
        "html: scripts and frames": ("html", lambda: _TEXT + b"<script>alert(1)</script><iframe src=//evil.example>"),
        "html: a refresh": ("html", lambda: b"<meta http-equiv=refresh content='0;url=//evil.example'>" + _TEXT),
        "html: a base": ("html", lambda: b"<base href=//evil.example><a href=x>" + _TEXT),
        "html: comments that never end": ("html", lambda: (b"<!-- " * 20_000) + _TEXT),
        "html: tables in tables": ("html", lambda: b"<table><tr><td>" * 2_000 + _TEXT),
        "html: 20,000 columns": ("html", lambda: b"<table><tr>" + b"<td>x" * 20_000),
        "html: a cell over 10^9 columns": ("html", lambda: b"<table><tr><td colspan=999999999 rowspan=999999999>x" + _TEXT),
        "html: zero bytes": ("html", lambda: b"<p>a\0b</p>" + _TEXT),
        "html: UTF-7": ("html", lambda: b"<meta charset=utf-7>+ADw-script+AD4-alert(1)" + _TEXT),
        "html: UTF-16": ("html", lambda: ("<p>" + _TEXT.decode()).encode("utf-16")),
        "html: an encoding that is none": ("html", lambda: b"<meta charset='x\0y'>" + _TEXT),
        "html: entities without end": ("html", lambda: b"&" * 500_000 + b"&#x110000;&#0;&#xd800;" + _TEXT),
        "html: lists 5,000 deep": ("html", lambda: b"<ul><li>" * 5_000 + _TEXT),
        "html: an SVG with a script": ("html", lambda: b"<svg onload=alert(1)><script>1</script></svg>" + _TEXT),
        "md: 5,000 quotes deep": ("md", lambda: b">" * 5_000 + _TEXT),
        "md: 2,000 lists deep": ("md", lambda: b"\n".join(b" " * n + b"- x" for n in range(2_000))),
        "md: brackets": ("md", lambda: b"[" * 50_000 + b"](x)" * 1_000),
        "md: emphasis": ("md", lambda: b"*a_ " * 50_000),
        "md: back-ticks": ("md", lambda: b"".join(b"`" * n + b" " for n in range(600))),
        "md: links by reference": ("md", lambda: b"[a]: x\n" + b"[a][a]" * 30_000),
        "md: a table of 10,000 columns": ("md", lambda: b"|a" * 10_000 + b"|\n" + b"|-" * 10_000 + b"|\n|x|"),
        "md: HTML": ("md", lambda: b"<script>alert(1)</script>\n\n" + _TEXT),
        "md: nested emphasis": ("md", lambda: b"**a " * 20_000 + b"b** " * 20_000),
        "md: autolinks": ("md", lambda: b"<http://a" * 20_000),
        "csv: 20,000 columns": ("csv", lambda: b"a," * 20_000),
        "csv: a quote that never ends": ("csv", lambda: b'a,"b\n' + b"x,y\n" * 50_000),
        "csv: a field of 5 MB": ("csv", lambda: b'a,b\n"' + b"x" * 5_000_000 + b'",2\n'),
        "csv: formulas": ("csv", lambda: b"name,value\n=cmd|'/C calc'!A0,+1\n@SUM(1),-2\n"),
        "csv: zero bytes": ("csv", lambda: b"a,b\n1\0,2\n" + b"c,d\n" * 20),
        "csv: only separators": ("csv", lambda: b",;\t|\n" * 50_000),
        "csv: rows of all lengths": ("csv", lambda: b"\n".join(b"x," * n for n in range(400))),
        "tsv: tabs": ("tsv", lambda: b"\t" * 400 + b"\n" + b"a\tb\n" * 1_000),
        "txt: a line of a million words": ("txt", lambda: long),
        "txt: a word of 5 MB": ("txt", lambda: b"x" * 5_000_000),
        "txt: only line breaks": ("txt", lambda: b"\n" * 2_000_000 + _TEXT),
        "txt: only spaces": ("txt", lambda: b" " * 2_000_000 + _TEXT),
        "txt: terminal codes": ("txt", lambda: b"\x1b[2J\x1b]0;x\x07" + _TEXT),
        "txt: broken UTF-8": ("txt", lambda: b"\xff\xfe\xfd \xc3\x28 \xed\xa0\x80 " * 100 + _TEXT),
        "txt: every encoding's mark": ("txt", lambda: b"\xef\xbb\xbf\xff\xfe\0\0" + _TEXT),
        "txt: combining marks": ("txt", lambda: ("e" + "\u0301\u0302" * 100_000 + " " + _TEXT.decode()).encode()),
        "txt: unseen characters": ("txt", lambda: ("\u200b\u2060\ufeff\u00ad" * 100_000 + _TEXT.decode()).encode()),
        "txt: tag characters": ("txt", lambda: (_TEXT.decode() + "\U000e0049\U000e0067" * 50_000).encode()),
        "txt: right to left": ("txt", lambda: ("\u202e" + _TEXT.decode() + "\u202c").encode()),
        "txt: private characters": ("txt", lambda: ("\ue000\ue001\uf8ff" * 10_000 + _TEXT.decode()).encode()),
        "txt: full stops": ("txt", lambda: b". " * 500_000),
        "txt: capitals and dots": ("txt", lambda: b"A.B.C. " * 100_000),
        "txt: opening quotes": ("txt", lambda: "“(«".encode() * 100_000 + _TEXT),
        "txt: articles without end": ("txt", lambda: "Điều 1. Khoản 1. Điểm a) ".encode() * 20_000),
        "txt: an article's number of a million digits": ("txt", lambda: "Điều ".encode() + b"9" * 1_000_000 + b". x"),
        "txt: Roman numbers": ("txt", lambda: b"Chapter " + b"MDCLXVI" * 50_000 + b"\n" + _TEXT),
        "txt: dates": ("txt", lambda: b"99/99/9999 31-02-2024 " * 50_000 + b"0000-00-00 9999-12-31"),
        "txt: dashes": ("txt", lambda: b"-" * 1_000_000 + b"\n" + b"=" * 1_000_000 + b"\n" + _TEXT),
        "txt: tabs and figures": ("txt", lambda: b"1\t2\t3\n" * 100_000),
        "txt: sentences of one letter": ("txt", lambda: b"A! " * 300_000),
        "txt: SQL": ("txt", lambda: b"'; drop table documents; -- \\x00 %s %n " * 100 + _TEXT),
    }  # fmt: skip
    for trick, (extension, make) in tricks.items():
        yield trick, HostileFile(f"a.{extension}", make, harmless)
    for name in ("a", "a.", "a.exe", "a.docm", "a.xlsm", "a.pptm", "a.dotm", "a.js", "a.svg", "a.zip", "a.lnk",
                 "a.hta", "a.rtf", "a.iso", "a.docx.exe", ".htaccess", "a.txt;.php", "a.p\u0000df"):  # fmt: skip
        kinds = frozenset({"unsupported", "name", "mislabelled"})
        yield f"ending {name!r}", HostileFile(name, lambda: _TEXT, kinds)


def _old_office() -> Iterator[tuple[str, HostileFile]]:
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    header = bytearray(ole + b"\0" * 504)
    struct.pack_into("<HHHHH", header, 24, 0x3E, 3, 0xFFFE, 9, 6)
    struct.pack_into("<IIIII", header, 44, 1, 0, 0, 4096, 0)
    ring = bytes(header) + struct.pack("<128I", *([0] * 128)) * 3
    broken = frozenset({"damaged", "truncated", "empty", "encrypted", "too-complex", "macros"})
    for trick, content in {
        "macros": ole + b"\0" * 1000 + "_VBA_PROJECT".encode("utf-16-le") + b"\0" * 1000,
        "a chain of sectors that is a ring": ring,
        "sectors past its end": bytes(header) + struct.pack("<128I", *([0xFFFFFFF0] * 128)),
        "a sector size of 2^65535": bytes(header[:30]) + b"\xff\xff" + bytes(header[32:]),
        "a table of sectors of 2^32": bytes(header[:44]) + b"\xff" * 4 + bytes(header[48:]),
        "noise": ole + bytes((n * 131) % 256 for n in range(20_000)),
        "only its header": bytes(header),
        "a password": encrypted_office(),
    }.items():
        yield f"old Office, {trick}", HostileFile("a.xls", lambda content=content: content, broken)


def hostile_files() -> dict[str, HostileFile]:
    """All of them, by the name of the trick."""
    listed: dict[str, HostileFile] = {}
    for trick, name in _names():
        listed[trick] = HostileFile(name, lambda: _TEXT, frozenset({"name"}))
    for family in (_spoilt(), _office(), _pdfs(), _texts(), _old_office()):
        for trick, file in family:
            assert trick not in listed, trick
            listed[trick] = file
    return listed
