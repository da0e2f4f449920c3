"""Office files are ZIP archives: what is looked at in each before any parser opens it.

Every member is unpacked once, into nothing, because archives lie about what they hold.
"""

from __future__ import annotations

import io
import re
import struct
import unicodedata
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

from engine.documents.parsing.source import Source
from engine.zip_files import UNREADABLE_ZIP

MAIN_PARTS = {"docx": "word/", "xlsx": "xl/", "pptx": "ppt/", "ods": "content.xml"}
MAX_PIXELS = 200_000_000  # of one picture; a large scan has 140 million

_ZIP, _END = b"PK\x03\x04", b"PK\x05\x06"
_MAX_MEMBERS = 20_000
_MAX_RATIO = 200  # unpacked to packed; a sheet of zeros reaches about 100
_BOMB = 50_000_000  # bytes unpacked from which the ratio counts
_CHUNK = 256 * 1024
_MAX_RELATIONSHIPS = 4_000_000  # bytes of one list of them
_SAVE_ANEW = "Open it in the program that made it and save it again."
_ALARMING = "Do not open it unless you know who made it."

_MACROS = re.compile(
    r"(?:^|/)(?:vbaProject\.bin|vbaData\.xml|macrosheets/|activeX/|Basic/.+|Scripts/.+)", re.I
)
# In ASCII and in both orders of UTF-16; text has no bare "<!".
_ENTITIES = (b"<!DOCTYPE", b"<!ENTITY", "<!DOCTYPE".encode("utf-16-le"), "<!ENTITY".encode("utf-16-le"))
_OVERLAP = max(map(len, _ENTITIES))
_ENCODING = re.compile(rb"""<\?xml[^>]{0,100}?encoding\s*=\s*["']([^"']*)""")
_ENCODINGS = re.compile(rb"utf-?(?:8|16(?:le|be)?)|us-ascii|iso-8859-\d+|windows-125\d", re.I)
_PICTURE = re.compile(r"\.(?:png|jpe?g|gif|bmp|tiff?|webp)$", re.I)
_RELATIONSHIP = re.compile(rb"<(?:\w+:)?Relationship\b[^>]*>")
# What a program would fetch or run by itself. A hyperlink is followed by people only.
_FETCHED = re.compile(
    rb"""Type\s*=\s*["'][^"']*/(?:attachedTemplate|oleObject|frame|subDocument|aFChunk)["']""", re.I
)
_ELSEWHERE = re.compile(
    rb"""Target\s*=\s*["']\s*(?:https?:|ftp:|mhtml:|\\\\|//|file:(?://)?(?:\\\\|//[^/]))""", re.I
)
_EXTERNAL = re.compile(rb"""TargetMode\s*=\s*["']External""", re.I)


def check_archive(source: Source) -> None:
    """Raises UnreadableFile: ``truncated``, ``encrypted``, ``too-complex``, ``too-large``, and
    ``archive-bomb``, ``path-trick``, ``polyglot``, ``macros``, ``entities``, ``huge-image``,
    ``external-content`` for what no honest document is.
    """
    try:
        with source.open() as file:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
            _check_members(source, members)
            _check_edges(source, file, members)
            _unpack(source, file, members)
    except UNREADABLE_ZIP as error:
        raise source.refuse(
            "truncated",
            "it is incomplete or damaged: its archive cannot be read.",
            "Copy or download it again.",
        ) from error


def _check_members(source: Source, members: list[zipfile.ZipInfo]) -> None:
    if len(members) > _MAX_MEMBERS:
        raise source.refuse(
            "too-complex", f"it is made of {len(members):,} parts; that is no ordinary document."
        )
    if any(member.flag_bits & 0x1 for member in members):
        raise source.refuse(
            "encrypted", "it is protected with a password.", "Save a copy without the password."
        )
    names = Counter(member.orig_filename.lower() for member in members)
    for name, count in names.items():
        if count > 1 or _leads_out(name):
            raise source.refuse(
                "path-trick", "it holds parts under names that lead elsewhere, or twice.", _ALARMING
            )
        if _MACROS.search(name):
            raise source.refuse("macros", "it holds macros.", "Save it without them, or as PDF.")


def _leads_out(name: str) -> bool:
    return (
        name.startswith("/")
        or "\\" in name
        or ".." in name.split("/")
        or bool(re.match(r"[a-z]:", name))
        or any(unicodedata.category(character) in ("Cc", "Cs") for character in name)
    )


def _check_edges(source: Source, file: BinaryIO, members: list[zipfile.ZipInfo]) -> None:
    """Nothing before the first part and nothing after the archive's end."""
    tail = min(source.size, 22 + 65_535)
    file.seek(source.size - tail)
    content = file.read(tail)
    end = content.rfind(_END)
    comment = struct.unpack("<H", content[end + 20 : end + 22])[0]
    begins = min((member.header_offset for member in members), default=0)
    if end + 22 + comment != tail or begins != 0:
        raise source.refuse("polyglot", "it is two files in one.", _ALARMING)


def _unpack(source: Source, file: BinaryIO, members: list[zipfile.ZipInfo]) -> None:
    limit, total = source.limits.max_uncompressed_bytes, 0
    for member in members:
        total += _check_member(source, file, member, limit - total)
        bomb = total > _BOMB and total > _MAX_RATIO * source.size
        if bomb or total > limit:
            raise source.refuse(
                "archive-bomb" if bomb else "too-large",
                f"its {source.size / 1e6:,.1f} MB unpack to more than {min(total, limit) / 1e6:,.0f} MB.",
                "If it is an honest document, split it or raise MAX_UNCOMPRESSED_BYTES.",
            )


def _check_member(source: Source, file: BinaryIO, member: zipfile.ZipInfo, limit: int) -> int:
    """Real size of a member, whatever the archive says of it; stops past `limit`."""
    name = member.filename.lower()
    is_markup = name.endswith((".xml", ".rels", ".vml"))
    is_list = name.endswith(".rels")
    size, before, collected = 0, b"", b""
    for chunk in _chunks(source, file, member):
        if size == 0:
            _check_beginning(source, chunk, is_markup, bool(_PICTURE.search(name)))
        if is_markup and any(mark in before + chunk for mark in _ENTITIES):
            raise source.refuse(
                "entities", "it declares XML entities, which Office files never do.", _SAVE_ANEW
            )
        if is_list and len(collected) <= _MAX_RELATIONSHIPS:
            collected += chunk
        before = chunk[-_OVERLAP:]
        size += len(chunk)
        if size > limit:
            break
    if is_list:
        _check_relationships(source, collected)
    return size


def _chunks(source: Source, file: BinaryIO, member: zipfile.ZipInfo) -> Iterator[bytes]:
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
    left = member.compress_size
    while left > 0:
        packed = file.read(min(_CHUNK, left))
        if not packed:
            raise EOFError
        left -= len(packed)
        while packed:
            yield packed if stored else inflate.decompress(packed, _CHUNK)
            packed = b"" if stored else inflate.unconsumed_tail


def _check_beginning(source: Source, chunk: bytes, is_markup: bool, is_picture: bool) -> None:
    if is_markup and (declared := _ENCODING.search(chunk[:300])) and not _ENCODINGS.fullmatch(declared[1]):
        raise source.refuse("entities", "its parts are encoded as Office never does.", _SAVE_ANEW)
    if is_picture and _pixels(chunk) > MAX_PIXELS:
        raise source.refuse(
            "huge-image",
            f"it holds a picture of more than {MAX_PIXELS / 1e6:,.0f} million pixels.",
            "Make the picture smaller.",
        )


def _pixels(beginning: bytes) -> int:
    """Of a picture, as its first bytes tell them; 0 where they do not. Nothing is decoded."""
    from PIL import Image, UnidentifiedImageError  # most documents have no picture

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(beginning)) as image:
                return image.width * image.height
    except Image.DecompressionBombError:
        return MAX_PIXELS + 1
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, struct.error, OverflowError):
        return 0


def _check_relationships(source: Source, content: bytes) -> None:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in content[:20]:
        content = content.decode("utf-16", "replace").encode()
    for relationship in _RELATIONSHIP.findall(content):
        if (
            _EXTERNAL.search(relationship)
            and _FETCHED.search(relationship)
            and _ELSEWHERE.search(relationship)
        ):
            raise source.refuse(
                "external-content",
                "it would fetch a template or an object from elsewhere when opened.",
                _ALARMING,
            )
