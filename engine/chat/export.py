"""A session as Markdown, to keep or to send."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.answering.model import Citation
from engine.chat.model import Session, Turn

# What makes a reader of Markdown load a picture, follow a link or take a tag for one.
_LIVE = re.compile(r"<|!(?=\[)|(?<=\])(?:[(:]|\[(?!\d+\]))")


def as_markdown(session: Session, turns: Sequence[Turn]) -> str:
    """Questions, answers and numbered sources with the cited sentences.

    Nothing in it loads, leads anywhere or is HTML, whatever documents or models wrote.
    """
    parts = [f"# {session.title or 'Session'}", f"_{session.created_at:%Y-%m-%d %H:%M} UTC_"]
    for turn in turns:
        parts += [f"## {turn.answer.question}", turn.answer.text]
        if turn.answer.citations:
            parts.append("\n".join(_source(citation) for citation in turn.answer.citations))
    return "\n\n".join(map(_inert, parts)) + "\n"


def _inert(markdown: str) -> str:
    return _LIVE.sub(r"\\\g<0>", markdown)


def _source(citation: Citation) -> str:
    passage = citation.passage
    place = [passage.document_title]
    if passage.heading:
        place.append(passage.heading)
    if passage.page:
        place.append(f"p. {passage.page}")
    quote = " ".join(citation.quote.split())
    return f"- [{citation.number}] {', '.join(place)}: “{quote}”"
