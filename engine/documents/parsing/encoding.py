"""Bytes of a text file into text, whatever wrote them."""

from __future__ import annotations

import codecs
import re
import unicodedata
from itertools import pairwise

from engine.documents.parsing.source import Source

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(rb"charset\s*=\s*[\"']?([A-Za-z0-9_-]+)")
_SAMPLE = 200_000  # bytes that the guess of an encoding looks at
# Vietnamese before Unicode: combining tone marks follow the letter in Windows-1258.
_VIETNAMESE = "cp1258"
_VIETNAMESE_LETTERS = frozenset("ăâđêôơưĂÂĐÊÔƠƯ\u0300\u0301\u0303\u0309\u0323")


def decode(source: Source) -> str:
    """The text of a file: Unicode by its mark or its validity, else the likeliest old encoding.

    Raises UnreadableFile ``mislabelled`` for what is no text in any encoding.
    """
    content = source.read()
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding, errors="replace")
    if (wide := _wide(content)) is not None:
        return content.decode(wide, errors="replace")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = _decode_declared(source, content) or _decode_old(content)
    if text.count("\0") * 100 > len(text) or sum(c < "\t" for c in text[:_SAMPLE]) * 20 > len(text[:_SAMPLE]):
        raise source.refuse(
            "mislabelled",
            f"its name says .{source.extension}, but it is no text.",
            "Give it the ending that fits its content.",
        )
    return text.replace("\0", " ")


def _wide(content: bytes) -> str | None:
    """UTF-16 without a mark shows by zeros at every other byte."""
    sample = content[:2000]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    half = max(1, len(sample) // 2)
    if odd > 0.4 * half and even < 0.05 * half:
        return "utf-16-le"
    if even > 0.4 * half and odd < 0.05 * half:
        return "utf-16-be"
    return None


def _decode_declared(source: Source, content: bytes) -> str:
    """A web page's text by the encoding that it declares; empty without one."""
    if source.extension not in ("html", "htm") or not (match := _DECLARED.search(content[:4096])):
        return ""
    try:
        return content.decode(match[1].decode("ascii"), errors="replace")
    except LookupError:
        return ""


def _decode_old(content: bytes) -> str:
    vietnamese = content.decode(_VIETNAMESE, errors="replace")
    if _looks_vietnamese(vietnamese[:_SAMPLE]):
        return unicodedata.normalize("NFC", vietnamese)
    from charset_normalizer import from_bytes

    best = from_bytes(content[:_SAMPLE]).best()
    return content.decode(best.encoding if best else "cp1252", errors="replace")


def _looks_vietnamese(text: str) -> bool:
    """Whether a tone mark follows a vowel wherever one appears, and often enough."""
    marks = good = 0
    for before, character in pairwise(text):
        if character in "\u0300\u0301\u0303\u0309\u0323":
            marks += 1
            good += before.lower() in "aăâeêioôơuưy"
    letters = sum(character in _VIETNAMESE_LETTERS for character in text)
    words = text.count(" ") + 1
    return marks >= 3 and good >= 0.9 * marks and letters >= 0.3 * words
