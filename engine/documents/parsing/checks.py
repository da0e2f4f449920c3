"""What is checked before any parser sees a file: its name, its size and what it really is."""

from __future__ import annotations

import re
import unicodedata
import zipfile

from engine.documents.parsing.archives import MAIN_PARTS, check_archive
from engine.documents.parsing.source import Source
from engine.errors import UnreadableFile
from engine.text.normalisation import normalise
from engine.zip_files import UNREADABLE_ZIP

_MAX_NAME = 255  # characters, as most file systems allow
_ALARMING = "Do not open it unless you know who made it."

_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")
_MACRO_STREAM = "_VBA_PROJECT".encode("utf-16-le")
_DEVICES = re.compile(r"(?:con|prn|aux|nul|clock\$|com\d|lpt\d)(?:\.|$)", re.IGNORECASE)
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
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
_OLE_EXTENSIONS = frozenset({"doc", "xls"})
_OPEN_XML = frozenset({"docx", "xlsx", "pptx"})


def check_name(file_name: str) -> str:
    """The name under which a file is kept: NFC, nothing invisible, single spaces.

    Raises UnreadableFile ``name`` for what no honest upload is called: control characters,
    characters that turn the reading direction, slashes, a device of Windows, nothing at all, or
    more than 255 characters.
    """

    def refuse(why: str) -> UnreadableFile:
        return UnreadableFile(_shown(file_name), "name", f"its name {why}.", hint="Rename the file.")

    if any(unicodedata.category(character) == "Cc" for character in file_name):
        raise refuse("holds control characters")
    if _TURNING.search(file_name):
        raise refuse("holds characters that turn its letters around")
    if "/" in file_name or "\\" in file_name:
        raise refuse("holds a slash")
    name = normalise(file_name)
    if not name.strip(". "):
        raise refuse("is empty")
    if _DEVICES.match(name):
        raise refuse("is that of a device")
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
    if source.extension in MAIN_PARTS:
        _check_zip(source, head)
    elif source.extension == "pdf":
        if b"%PDF-" not in head[:1024]:
            raise _mislabelled(source, head, "a PDF")
        _check_pdf(source, head)
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
    names = _names(source)
    if names is None:
        return "a damaged ZIP archive"
    for prefix, _, kind in _ZIP_KINDS:
        if any(name.startswith(prefix) for name in names):
            return kind
    return "an OpenDocument file" if "mimetype" in names else "a ZIP archive"


def _names(source: Source) -> list[str] | None:
    """Of an archive's members; None where it cannot be read."""
    try:
        with source.open() as file, zipfile.ZipFile(file) as archive:
            return archive.namelist()
    except UNREADABLE_ZIP:
        return None


def _is_text(head: bytes) -> bool:
    return b"\0" not in head and sum(byte < 9 for byte in head) == 0


def _check_pdf(source: Source, head: bytes) -> None:
    """A PDF that is another file, too: something else comes before it, or an archive ends it."""
    before = head[: head.index(b"%PDF-")].lstrip(b"\xef\xbb\xbf \t\r\n\0")
    with source.open() as file:
        if zipfile.is_zipfile(file) or (before and (before[:2] == b"PK" or _is_other_file(before))):
            raise source.refuse("polyglot", "it is two files in one.", _ALARMING)


def _is_other_file(beginning: bytes) -> bool:
    return beginning.lstrip().startswith((b"<", *(signature for signature, _ in _SIGNATURES)))


def _check_old_office(source: Source) -> None:
    content = source.read()
    if _MACRO_STREAM in content:
        raise source.refuse("macros", "it holds macros.", "Save it without them, or as PDF.")
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
    """A sound Office archive of the kind that its name says."""
    extension = source.extension
    if head.startswith(_OLE) and extension in _OPEN_XML and _ENCRYPTED_STREAM in source.read():
        raise _encrypted(source)
    if not head.startswith(b"PK"):
        raise _mislabelled(source, head, f"a {extension.upper()} file")
    names = _names(source)
    if names and not any(name.startswith(MAIN_PARTS[extension]) for name in names):
        raise _mislabelled(source, _ZIP, f"a {extension.upper()} file", _zip_kind(source))
    check_archive(source)
