"""Text in one canonical form, before it is stored, compared or used as a key."""

from __future__ import annotations

import re
import unicodedata

_LINE_BREAK = re.compile(r"\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]")
_BLANKS = re.compile(r"[^\S\n]+")
_BLANKS_AROUND_BREAKS = re.compile(r" ?\n[ \n]*")
# Control, format (zero width, direction, soft hyphen), lone surrogates, private use, unassigned.
_UNWANTED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
# Letters and marks by category, but nothing is drawn of them: variation selectors, fillers, the joiner.
_UNDRAWN = frozenset(map(chr, (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0)))
_UNDRAWN |= frozenset(map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
_PLAIN = re.compile(r"[\n\x20-\x7e]*")


def normalise(text: str, *, keep_line_breaks: bool = False) -> str:
    """NFC, single spaces, nothing invisible, no white space at either end.

    Line breaks become spaces; with `keep_line_breaks` each run of them becomes one "\\n".
    Other control characters become spaces; zero-width ones, lone surrogates and private-use
    characters (bullets of symbol fonts) are dropped, so PostgreSQL can store the result.
    """
    text = _LINE_BREAK.sub("\n", text)
    if not _PLAIN.fullmatch(text):
        text = unicodedata.normalize("NFC", "".join(_visible(text)))
    text = _BLANKS.sub(" ", text)
    text = _BLANKS_AROUND_BREAKS.sub("\n" if keep_line_breaks else " ", text)
    return text.strip()


def printable(text: str) -> str:
    """`text` with its layout, without what cannot be seen or stored: control, zero-width and tag
    characters, lone surrogates, private use."""
    if _PLAIN.fullmatch(text):
        return text
    return "".join(c for c in text if c in "\n\t" or _is_drawn(c))


def _is_drawn(character: str) -> bool:
    return unicodedata.category(character) not in _UNWANTED and character not in _UNDRAWN


def _visible(text: str) -> list[str]:
    kept: list[str] = []
    for character in text:
        if character == "\n" or _is_drawn(character):
            kept.append(character)
        elif unicodedata.category(character) == "Cc":
            kept.append(" ")
    return kept


def fold_diacritics(text: str) -> str:
    """`text` without diacritics, case kept: "Điều khoản" → "Dieu khoan"."""
    if text.isascii():
        return text
    decomposed = unicodedata.normalize("NFD", text.translate(_STROKED))
    return unicodedata.normalize("NFC", "".join(c for c in decomposed if unicodedata.category(c) != "Mn"))


# "Ð" (Icelandic eth) looks like "Đ" and stands for it in many converted Vietnamese files.
_STROKED = str.maketrans("đĐðÐ", "dDdD")


def normalise_question(text: str) -> str:
    """A question as it is embedded, analysed and used in cache keys: one line, case kept."""
    return normalise(text)
