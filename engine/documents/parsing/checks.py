"""What is checked before any parser sees a file: its name, its size and what it really is."""

from __future__ import annotations

import re
import struct
import unicodedata
import zipfile
import zlib
from typing import BinaryIO

from engine.documents.parsing.source import Source
from engine.errors import UnreadableFile
from engine.text.normalisation import normalise

_MAX_NAME = 255  # characters, as most file systems allow
_MAX_MEMBERS = 20_000  # of an Office file
_MAX_RATIO = 200  # unpacked to packed; a sheet of zeros reaches about 100
_BOMB = 50_000_000  # bytes unpacked from which the ratio counts
_SAVE_ANEW = "Open it in the program that made it and save it again."
_CHUNK = 256 * 1024

_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")
_DOCUMENT_TYPE = re.compile(rb"<!(?:DOCTYPE|ENTITY)")
_SIGNATURES = (
    (_OLE, "an old Microsoft Office file"),
    (b"{\\rtf", "an RTF document"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3", "a SQLite database"),
    (b"OggS", "a sound file"),
    (b"ID3", "a sound file"),
)
_ZIP_KINDS = (
    ("word/", "docx", "a Word document"),
    ("xl/", "xlsx", "an Excel workbook"),
    ("ppt/", "pptx", "a PowerPoint presentation"),
)
_MAIN_PARTS = {"docx": "word/", "xlsx": "xl/", "pptx": "ppt/", "ods": "content.xml"}
_OLE_EXTENSIONS = frozenset({"doc", "xls"})
_OPEN_XML = frozenset({"docx", "xlsx", "pptx"})


def check_name(file_name: str) -> str:
    """The name under which a file is kept: NFC, nothing invisible, single spaces.

    Raises UnreadableFile ``name`` for what no honest upload is called: control characters,
    slashes, nothing at all, or more than 255 characters.
    """

    def refuse(why: str) -> UnreadableFile:
        return UnreadableFile(_shown(file_name), "name", f"its name {why}.", hint="Rename the file.")

    if any(unicodedata.category(character) == "Cc" for character in file_name):
        raise refuse("holds control characters")
    if "/" in file_name or "\\" in file_name:
        raise refuse("holds a slash")
    name = normalise(file_name)
    if not name.strip(". "):
        raise refuse("is empty")
    if len(name) > _MAX_NAME:
        raise refuse(f"is longer than {_MAX_NAME} characters")
    return name


def _shown(file_name: str) -> str:
    """A name that is safe to print, short enough to read."""
    visible = "".join("�" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in file_name)
    return (visible if len(visible) <= 80 else f"{visible[:77]}…") or "(no name)"


def check_content(source: Source) -> None:
    """Refuse what is empty, too large, encrypted, truncated, a bomb, or not what its name says.

    Raises UnreadableFile with the reasons of those names.
    """
    limits = source.limits
    if source.size == 0:
        raise source.refuse("empty", "it is empty.")
    if source.size > limits.max_file_bytes:
        raise source.refuse(
            "too-large",
            f"it has {source.size / 1e6:,.1f} MB; at most {limits.max_file_bytes / 1e6:,.1f} MB are allowed.",
            "Split it, or raise MAX_UPLOAD_BYTES.",
        )
    head = source.head()
    if not head.strip(b"\0"):
        raise source.refuse(
            "damaged", "it begins with zeros only, as an interrupted copy does.", "Copy it again."
        )
    if source.extension in _MAIN_PARTS:
        _check_zip(source, head)
    elif source.extension == "pdf":
        if b"%PDF-" not in head[:1024]:
            raise _mislabelled(source, head, "a PDF")
    elif source.extension in _OLE_EXTENSIONS:
        if not head.startswith(_OLE):
            raise _mislabelled(source, head, "an old Microsoft Office file")
        _check_old_office(source)
    elif (kind := _kind(source, head)) is not None:
        raise _mislabelled(source, head, "text", kind)


def _mislabelled(source: Source, head: bytes, expected: str, kind: str | None = None) -> UnreadableFile:
    kind = kind or _kind(source, head) or ("text" if _is_text(head) else "something else")
    return source.refuse(
        "mislabelled",
        f"its name says .{source.extension}, but it is not {expected}: it seems to be {kind}.",
        "Give it the ending that fits its content, or export it again from the program that made it.",
    )


def _kind(source: Source, head: bytes) -> str | None:
    """What the first bytes betray, in words; None for text and the unknown."""
    if b"%PDF-" in head[:16]:
        return "a PDF"
    if head.startswith(_ZIP):
        return _zip_kind(source)
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if source.extension not in ("html", "htm", "md", "txt") and text.startswith(
        (b"<!doctype html", b"<html")
    ):
        return "a web page"
    return None


def _zip_kind(source: Source) -> str:
    try:
        with source.open() as file, zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            for prefix, _, kind in _ZIP_KINDS:
                if any(name.startswith(prefix) for name in names):
                    return kind
            if "mimetype" in names:
                return "an OpenDocument file"
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "a damaged ZIP archive"
    return "a ZIP archive"


def _is_text(head: bytes) -> bool:
    return b"\0" not in head and sum(byte < 9 for byte in head) == 0


def _check_old_office(source: Source) -> None:
    content = source.read()
    if _ENCRYPTED_STREAM in content:
        raise _encrypted(source)
    # A Word file's information block begins the first sector; 0x100 of its flags is encryption.
    if (
        source.extension == "doc"
        and content[512:514] == b"\xec\xa5"
        and content[523:524]
        and content[523] & 0x01
    ):
        raise _encrypted(source)


def _encrypted(source: Source) -> UnreadableFile:
    return source.refuse("encrypted", "it is protected with a password.", "Save a copy without the password.")


def _check_zip(source: Source, head: bytes) -> None:
    """A sound Office archive of honest size; read once, stored nowhere."""
    extension = source.extension
    if head.startswith(_OLE) and extension in _OPEN_XML and _ENCRYPTED_STREAM in source.read():
        raise _encrypted(source)
    if not head.startswith(b"PK"):
        raise _mislabelled(source, head, f"a {extension.upper()} file")
    try:
        with source.open() as file:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
            _check_members(source, file, members)
    except (zipfile.BadZipFile, struct.error, zlib.error, EOFError, NotImplementedError) as error:
        raise source.refuse(
            "truncated",
            "it is incomplete or damaged: its archive cannot be read.",
            "Copy or download it again.",
        ) from error


def _check_members(source: Source, file: BinaryIO, members: list[zipfile.ZipInfo]) -> None:
    extension, limit = source.extension, source.limits.max_uncompressed_bytes
    if len(members) > _MAX_MEMBERS:
        raise source.refuse(
            "too-complex", f"it is made of {len(members):,} parts; that is no ordinary document."
        )
    if any(member.flag_bits & 0x1 for member in members):
        raise _encrypted(source)
    if not any(member.filename.startswith(_MAIN_PARTS[extension]) for member in members):
        kind = _zip_kind(source)
        raise _mislabelled(source, _ZIP, f"a {extension.upper()} file", kind)
    total = 0
    for member in members:
        size = _unpacked_size(source, file, member, limit - total)
        total += size
        if total > limit or (total > _BOMB and total > _MAX_RATIO * source.size):
            raise source.refuse(
                "too-large",
                f"its {source.size / 1e6:,.1f} MB unpack to more than {min(total, limit) / 1e6:,.0f} MB.",
                "If it is an honest document, split it or raise MAX_UNCOMPRESSED_BYTES.",
            )


def _unpacked_size(source: Source, file: BinaryIO, member: zipfile.ZipInfo, limit: int) -> int:
    """Real size of a member, whatever the archive says of it; stops past `limit`."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise source.refuse(
            "damaged", "its archive is compressed in a way that Office never uses.", _SAVE_ANEW
        )
    file.seek(member.header_offset)
    header = file.read(30)
    if header[:4] != _ZIP:
        raise zipfile.BadZipFile("no local header")
    name_length, extra_length = struct.unpack("<HH", header[26:30])
    file.seek(name_length + extra_length, 1)
    stored = member.compress_type == zipfile.ZIP_STORED
    inflate = zlib.decompressobj(-15)
    is_xml = member.filename.lower().endswith((".xml", ".rels"))
    size, left = 0, member.compress_size
    while left > 0 and size <= limit:
        packed = file.read(min(_CHUNK, left))
        if not packed:
            raise EOFError
        left -= len(packed)
        while packed:
            chunk = packed if stored else inflate.decompress(packed, _CHUNK)
            packed = b"" if stored else inflate.unconsumed_tail
            if is_xml and size == 0 and _DOCUMENT_TYPE.search(chunk[:4096]):
                raise source.refuse(
                    "too-complex", "it declares XML entities, which Office files never do.", _SAVE_ANEW
                )
            size += len(chunk)
            if size > limit:
                break
    return size
