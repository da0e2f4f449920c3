"""What differs between two answers to one question: sentences and sources."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from difflib import SequenceMatcher

from app.chat.markup import answer_html
from app.text import escape
from engine.answering.model import Answer
from engine.documents.model import Passage
from engine.text.sentences import split_sentences

_MARK = re.compile(r'\s*<a class="cite".*?</a>')
_TAG = re.compile(r"<[^>]*>")


def difference_html(before: Answer, after: Answer, *, opened: bool) -> str:
    """Sentences and sources that only one of them has, those of `before` struck out; safe HTML."""
    parts = _list(_sentences_apart(before, after)) + _list(_sources_apart(before, after), "Sources")
    body = parts or '<p class="place">Nothing: the same sentences from the same sources.</p>'
    return (
        f'<details class="difference"{" open" if opened else ""}><summary>What differs</summary>'
        f"{body}</details>"
    )


def _sentences_apart(before: Answer, after: Answer) -> list[str]:
    old, new = _sentences(before), _sentences(after)
    items: list[str] = []
    for what, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what != "equal":
            items += [*map(_gone, old[a:b]), *map(_new, new[c:d])]
    return items


def _sources_apart(before: Answer, after: Answer) -> list[str]:
    old, new = _cited(before), _cited(after)
    gone = [place for place in old if place not in new]
    added = [place for place in new if place not in old]
    other = [place for place in old if place in new and not old[place] & new[place]]
    return [
        *map(_gone, gone),
        *map(_new, added),
        *(f"<li>{escape(place)} <em>says something else</em></li>" for place in other),
    ]


def _sentences(answer: Answer) -> list[str]:
    """As they are read: without marks and formatting."""
    shown = html.unescape(_TAG.sub("", _MARK.sub("", answer_html(answer.text, answer.kind))))
    return [" ".join(shown[start:end].split()) for start, end in split_sentences(shown)]


def _cited(answer: Answer) -> dict[str, set[str]]:
    """By place, in the order of citation, which texts were cited from there."""
    places: dict[str, set[str]] = {}
    for citation in answer.citations:
        places.setdefault(_place(citation.passage), set()).add(citation.passage.content_hash)
    return places


def _place(passage: Passage) -> str:
    title = passage.document_title
    headings = passage.heading.removeprefix(title).removeprefix(" › ")  # the title is often the first
    page = f"p. {passage.page}" if passage.page else ""
    return ", ".join(part for part in (title, headings, page) if part)


def _gone(text: str) -> str:
    return f"<li><del>{escape(text)}</del></li>"


def _new(text: str) -> str:
    return f"<li><ins>{escape(text)}</ins></li>"


def _list(items: Iterable[str], title: str = "") -> str:
    inside = "".join(items)
    head = f'<div class="place">{title}</div>' if title else ""
    return f"{head}<ul>{inside}</ul>" if inside else ""
