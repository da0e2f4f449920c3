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
# A heading that is a whole sentence, or the beginning of one.
_SENTENCE = re.compile(
    r"\b(?:này|kể từ|có hiệu lực kể)\b|\b(?:với|của|và|cho|the|of|and|for)$", re.IGNORECASE
)
_TITLE_LONGEST = 60


def suggest(headings: Sequence[tuple[str, str, str]], limit: int = 4, seed: str = "") -> list[str]:
    """Up to `limit` questions, from as many documents as possible.

    headings: (document title, heading, ISO 639-1 language) each; of a heading path joined
        with " › " the last part is used. seed: the same gives the same choice; a date, say.
    """
    by_title: dict[str, list[str]] = {}
    names = _names(headings)
    for title, heading, language in sorted(set(headings), key=lambda row: _order(seed, *row)):
        if question := _question(title, heading, language, names):
            by_title.setdefault(title, []).append(question)
    chosen: dict[str, None] = {}
    queues = list(by_title.values())
    while queues and len(chosen) < limit:
        for queue in queues[: limit - len(chosen)]:
            chosen.setdefault(queue.pop(0))
        queues = [queue for queue in queues if queue]
    return list(chosen)


def _question(title: str, heading: str, language: str, names: frozenset[str]) -> str:
    """A question about a heading; empty if it names no subject."""
    subject = _subject(heading)
    if not _usable(subject) or _JUNK.match(subject):
        return ""
    if heading.rstrip().endswith("?"):
        return subject if subject.endswith("?") else subject + "?"
    title = _short(normalise_question(title))
    if language == "vi":
        if _REGULATION.search(title) or _ARTICLE.match(heading.split(_SEPARATOR)[-1]):
            return f"{_sentence_case(subject, names)} được quy định thế nào?"
        subject = _lower_first(subject, names)
        return f"Tài liệu “{title}” nói gì về {subject}?" if title else f"Các tài liệu nói gì về {subject}?"
    subject = f"“{subject}”" if _QUESTION_WORD.match(subject) else _lower_first(subject, names)
    asked = f"What does “{title}” say" if title else "What do the documents say"
    return f"{asked} about {subject}?"


def _subject(heading: str) -> str:
    """The last part of a heading path, without its number."""
    last = normalise_question(heading.split(_SEPARATOR)[-1])
    return _NUMBERING.sub("", last).strip(' .:;,–—-•*"“”')


def _usable(subject: str) -> bool:
    """Whether it reads as a subject: some words, mostly letters, neither code nor a whole sentence."""
    letters = sum(c.isalpha() or c.isspace() for c in subject)
    return (
        2 <= len(subject.split()) <= 14
        and 8 <= len(subject) <= 90
        and letters >= 0.85 * len(subject)
        and not re.search(r"[=<>{}|\\_@/]|\.{3}|…|\(\s*\)", subject)
        and not _SENTENCE.search(subject)
    )


def _names(headings: Sequence[tuple[str, str, str]]) -> frozenset[str]:
    """Words that keep their capitals within a heading which is not all in capitals."""
    subjects = (_subject(heading) for _, heading, _ in headings)
    inner = (word for subject in subjects if not subject.isupper() for word in subject.split()[1:])
    return frozenset(word for word in inner if word[0].isupper())


def _sentence_case(subject: str, names: frozenset[str]) -> str:
    """First letter upper case; what is all in capitals in small letters, but for names."""
    if subject.isupper():
        subject = " ".join(word if word in names else word.lower() for word in subject.split())
    return subject[0].upper() + subject[1:]


def _lower_first(subject: str, names: frozenset[str]) -> str:
    """A heading as it reads within a sentence; names, abbreviations and title case are kept."""
    subject = _sentence_case(subject, names)
    first, *rest = subject.split()
    if first in names or not first[1:].islower() or any(word[0].isupper() for word in rest):
        return subject
    return subject[0].lower() + subject[1:]


def _short(title: str) -> str:
    if len(title) <= _TITLE_LONGEST:
        return title
    return title[:_TITLE_LONGEST].rsplit(" ", 1)[0].rstrip(" ,;:–—-") + "…"


def _order(seed: str, *row: str) -> bytes:
    return hashlib.blake2b("\0".join((seed, *row)).encode(), digest_size=8).digest()
