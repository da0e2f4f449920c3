"""Where sentences begin and end, in English and Vietnamese, legal texts and tables included.

Own code: the libraries that know Vietnamese rewrite the text or bring a model, and those that
keep offsets break "Điều 5." in two.
"""

from __future__ import annotations

import re

_LINE = re.compile(r"[^\n]+")
# Each run of marks is looked at once: a line of dots would otherwise take the square of its length.
_END = re.compile(r"(?:(?<![.!?…])[.!?…]++[\"'”’»)\]]*+(?=\s)|[。！？]++[”’」』]*+)\s*")
_LAST_WORD = re.compile(r"[\w.]*\w$")
_FIRST_LETTER = re.compile(r"[^\w\n]*[^\W\d_]")
_INITIALS = re.compile(r"(?:\w\.)+\w")
# "Điều 5.", "Article 12.", "II.", "1.2.", "a." opens its sentence rather than being one.
_LABEL = re.compile(
    r"\W*(?:(?:điều|khoản|điểm|chương|mục|phần|phụ lục|mẫu|bảng|hình|bước|câu|article|section|chapter|part|"
    r"clause|appendix|annex|table|figure|step)\s+)?(?:\d+(?:[./-]\d+)*|[ivxlcdm]+|[a-zđ])[a-zđ]?\.\W*",
    re.IGNORECASE,
)
_ABBREVIATIONS = frozenset(
    "al approx art av bs ca cf ch co corp dept dr ed eds e.g eq esp fig figs gen gov gs hr i.e inc jr "
    "ks ll.m lt ltd mgr mr mrs ms nr nv nxb op pgs ph.d pp prof ref rep rev sec sgt sr st stt tel th.s "
    "ths tp ts tx ubnd viz vol vols vs".split()
)
_LONGEST = 40  # characters of a word or a label; no more are looked at before each full stop
_BEFORE_NUMBERS = frozenset({"no", "nos", "p", "điều", "khoản", "số"})


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Start and end of each sentence as character offsets, in order, without outer white space.

    Every character that is not white space lies in exactly one sentence. A line break ends
    a sentence, so a table row or a list item is one of its own.
    """
    spans: list[tuple[int, int]] = []
    for line in _LINE.finditer(text):
        start = line.start()
        for end in _END.finditer(text, line.start(), line.end()):
            if _ends_sentence(text, start, end, line.end()):
                spans.append((start, end.end()))
                start = end.end()
        spans.append((start, line.end()))
    return [span for start, end in spans if (span := _trimmed(text, start, end))]


def _ends_sentence(text: str, start: int, mark: re.Match[str], line_end: int) -> bool:
    """Whether the mark that was found after `start` closes the sentence that began there."""
    first = text[mark.start()]
    if first in "。！？":
        return True
    follows = _FIRST_LETTER.match(text, mark.end(), line_end)
    if first == "." and not mark[0].startswith(".."):
        if text[mark.start() - 1 : mark.start()].isspace():  # " . " is how tokenised text ends a sentence
            return True
        word = _LAST_WORD.search(text, max(start, mark.start() - _LONGEST), mark.start())
        last = word[0] if word else ""
        numbered = last.lower() in _BEFORE_NUMBERS and text[mark.end() : mark.end() + 1].isdigit()
        initial = (len(last) == 1 and last.isupper()) or _INITIALS.fullmatch(last)
        if numbered or initial or last.lower() in _ABBREVIATIONS or _is_label(text, start, mark.end()):
            return False
    return follows is None or not follows[0][-1].islower()


def _is_label(text: str, start: int, end: int) -> bool:
    return end - start <= 2 * _LONGEST and _LABEL.fullmatch(text, start, end) is not None


def _trimmed(text: str, start: int, end: int) -> tuple[int, int] | None:
    inner = text[start:end]
    left = len(inner) - len(inner.lstrip())
    right = len(inner.rstrip())
    return (start + left, start + right) if right > left else None
