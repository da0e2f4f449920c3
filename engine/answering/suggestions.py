"""First questions to ask a collection, made of its own headings without a model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from engine.text.normalisation import normalise_question

_SEPARATOR = " › "
_NUMBERING = re.compile(
    r"""^\s*(?:
    (?:điều|chương|mục|phần|phụ\s+lục|tiểu\s+mục|khoản|article|chapter|section|part|appendix|annex|§)
        \s+(?:[\dIVXLC]+|[A-ZĐ](?![\w]))[\w.]*
    |\d+(?:\.\d+)*[.)]?(?=\s)|[IVXLC]+[.)](?=\s)|[A-Za-zĐđ][.)](?=\s)
    )\s*[.:)–—-]*\s*""",
    re.VERBOSE | re.IGNORECASE,
)
_JUNK = re.compile(
    r"""^(?:
    (?:table\ of\ )?contents|index|introduction|preface|foreword|abstract|references|bibliography|glossary
    |acknowledge?ments?|copyright(?:\ .*)?|license|about(?:\ .*)?|summary|conclusions?|overview|untitled
    |revision\ history|change\ ?log|list\ of\ .*|see\ also|(?:sheet|slide|page|figure|table)\ ?\d+
    |mục\ lục|lời\ (?:nói\ đầu|mở\ đầu|cảm\ ơn)|phụ\ lục|tài\ liệu\ tham\ khảo|giới\ thiệu|mở\ đầu|kết\ luận
    |(?:những\ )?quy\ định\ chung|nơi\ nhận|ghi\ chú|trang\ \d+|cộng\ hòa.*|độc\ lập.*|mẫu\ số.*|bảng.*
    |hiệu\ lực\ thi\ hành|tổ\ chức\ thực\ hiện|điều\ khoản\ thi\ hành|nội\ dung
    )\W*$""",
    re.VERBOSE | re.IGNORECASE,
)
_ARTICLE = re.compile(r"\s*(?:điều|chương|mục|khoản)\s+[\dIVXLC]+\b", re.IGNORECASE)
_REGULATION = re.compile(r"\b(?:luật|nghị định|thông tư|quyết định|quy chế|quy định)\b", re.IGNORECASE)
_QUESTION_WORD = re.compile(r"^(?:how|what|when|where|who|why|which|can|do|does|is|are)\b", re.IGNORECASE)
_TITLE_LONGEST = 60


def suggest(headings: Sequence[tuple[str, str, str]], limit: int = 4, seed: str = "") -> list[str]:
    """Up to `limit` questions, from as many documents as possible.

    headings: (document title, heading, ISO 639-1 language) each; of a heading path joined
        with " › " the last part is used. seed: the same gives the same choice; a date, say.
    """
    by_title: dict[str, list[str]] = {}
    for title, heading, language in sorted(set(headings), key=lambda row: _order(seed, *row)):
        if question := _question(title, heading, language):
            by_title.setdefault(title, []).append(question)
    chosen: dict[str, None] = {}
    queues = list(by_title.values())
    while queues and len(chosen) < limit:
        for queue in queues[: limit - len(chosen)]:
            chosen.setdefault(queue.pop(0))
        queues = [queue for queue in queues if queue]
    return list(chosen)


def _question(title: str, heading: str, language: str) -> str:
    """A question about a heading; empty if it names no subject."""
    subject = normalise_question(heading.split(_SEPARATOR)[-1])
    subject = _NUMBERING.sub("", subject).strip(' .:;,–—-•*"“”')
    if not _usable(subject) or _JUNK.match(subject):
        return ""
    if heading.rstrip().endswith("?"):
        return subject if subject.endswith("?") else subject + "?"
    title = _short(normalise_question(title))
    if language == "vi":
        if _REGULATION.search(title) or _ARTICLE.match(heading.split(_SEPARATOR)[-1]):
            return f"{_sentence_case(subject)} được quy định thế nào?"
        subject = _lower_first(subject)
        return f"Tài liệu “{title}” nói gì về {subject}?" if title else f"Các tài liệu nói gì về {subject}?"
    subject = f"“{subject}”" if _QUESTION_WORD.match(subject) else _lower_first(subject)
    asked = f"What does “{title}” say" if title else "What do the documents say"
    return f"{asked} about {subject}?"


def _usable(subject: str) -> bool:
    """Whether it reads as a subject: some words, mostly letters, neither code nor a whole sentence."""
    letters = sum(c.isalpha() or c.isspace() for c in subject)
    return (
        2 <= len(subject.split()) <= 14
        and 8 <= len(subject) <= 90
        and letters >= 0.85 * len(subject)
        and not re.search(r"[=<>{}|\\_@/]|\.{3}|…|\(\s*\)", subject)
    )


def _sentence_case(subject: str) -> str:
    """First letter upper case, the rest as it was unless everything is in capitals."""
    if subject.isupper():
        subject = subject.lower()
    return subject[0].upper() + subject[1:]


def _lower_first(subject: str) -> str:
    """A heading as it reads within a sentence; names and abbreviations keep their capitals."""
    if subject.isupper() and " " in subject:
        return subject.lower()
    first, _, rest = subject.partition(" ")
    title_case = sum(word[0].isupper() for word in rest.split() if word[0].isalpha())
    if first[1:].islower() and not title_case:
        return subject[0].lower() + subject[1:]
    return subject


def _short(title: str) -> str:
    if len(title) <= _TITLE_LONGEST:
        return title
    return title[:_TITLE_LONGEST].rsplit(" ", 1)[0].rstrip(" ,;:–—-") + "…"


def _order(seed: str, *row: str) -> bytes:
    return hashlib.blake2b("\0".join((seed, *row)).encode(), digest_size=8).digest()
