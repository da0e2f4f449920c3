"""Recognising a reply that says that the sources do not hold the answer."""

from __future__ import annotations

import re

from engine.answering.marks import remove_marks
from engine.answering.prompts import NO_ANSWER

_LONGEST = 400  # characters of a reply that says only that
_JUNK = " \t\r\n*_`\"'“”‘’()[]{}<>#:.,;!–—-"
_SPELLINGS = (NO_ANSWER, "NO ANSWER", "NO-ANSWER", "no_answer")
_MARKER = re.compile(rf"\b(?:{NO_ANSWER}|NO-ANSWER|{NO_ANSWER.lower()})\b")
_BUT = re.compile(r"\b(?:but|however|although|nhưng|tuy nhiên|song)\b", re.IGNORECASE)
_SOURCES = r"(?:sources?|documents?|passages?|excerpts?|texts?|context|materials?)"
_LACKING = re.compile(
    rf"""
    \b{_SOURCES}\b[^.!?\n]{{0,60}}\b(?:do|does|did)(?:\ not|n[’']t)\b\s+(?:\w+\s+){{0,2}}?
        (?:contain|mention|hold|provide|include|specify|state|say|answer|address|cover|give|discuss|describe|indicate)
    |\b{_SOURCES}\b[^.!?\n]{{0,40}}\b(?:ha(?:s|ve)|contains?|provides?|gives?)\s+no\b
    |\bno\ (?:information|mention|answer)\b[^.!?\n]{{0,60}}\b{_SOURCES}
    |\b(?:tài\ liệu|nguồn|văn\ bản|đoạn|ngữ\ cảnh)\b[^.!?\n]{{0,60}}\b(?:không|chưa)\s(?:\w+\s)?
        (?:có|chứa|đề\ cập|nêu|cung\ cấp|nói|quy\ định|trả\ lời|đủ)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_GIVING_UP = re.compile(
    r"""
    \b(?:cannot|can[’']t|could\ not|couldn[’']t|(?:am|was|were|is)\ (?:unable|not\ able)\ to)\s
        (?:be\ )?(?:find|found|answer|answered|determine|determined|locate)
    |\bI\ (?:do\ not|don[’']t)\ (?:know|have)
    |\b(?:không|chưa)\s(?:tìm\ thấy|có|đủ)\b[^.!?\n]{0,60}\b(?:thông\ tin|câu\ trả\ lời|tài\ liệu|nguồn)
    """,
    re.VERBOSE | re.IGNORECASE,
)


def read_refusal(text: str) -> str | None:
    """What a reply says beside "no answer", or None if it does answer.

    A reply refuses if it begins with the marker. So does a short one that says in English or
    Vietnamese that the sources lack it, if it cites nothing or says nothing else.
    """
    start = text.lstrip(_JUNK)
    for spelling in _SPELLINGS:
        if start.startswith(spelling):
            return remove_marks(start[len(spelling) :].lstrip(_JUNK)).strip()
    plain = remove_marks(text).strip()
    if len(plain) > _LONGEST:
        return None
    lacking = _LACKING.search(plain)
    if plain == text.strip():
        return plain if lacking or _GIVING_UP.search(plain) else None
    one_sentence = len(re.findall(r"[.!?](?:\s|$)", plain)) <= 1
    return plain if lacking and lacking.start() <= 40 and one_sentence and not _BUT.search(plain) else None


def without_marker(text: str) -> str:
    """`text` without a marker that a model put after an answer."""
    return _MARKER.sub("", text)


class RefusalFilter:
    """Keeps the marker at a stream's start from being shown."""

    def __init__(self) -> None:
        self._held = ""
        self._deciding = True
        self._stripping = False

    def feed(self, piece: str) -> str:
        """What can be shown by now."""
        if self._deciding:
            self._held += piece
            start = self._held.lstrip(_JUNK)
            if any(len(start) < len(spelling) and spelling.startswith(start) for spelling in _SPELLINGS):
                return ""
            self._deciding = False
            piece, self._held = self._held, ""
            for spelling in _SPELLINGS:
                if start.startswith(spelling):
                    piece, self._stripping = start[len(spelling) :], True
        if self._stripping:
            piece = piece.lstrip(_JUNK)
            self._stripping = not piece
        return piece

    def flush(self) -> str:
        """What was held back, at the end of the stream."""
        held, self._held = self._held, ""
        return held
