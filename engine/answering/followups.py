"""Making a follow-up question standalone, so that retrieval finds what it means.

A wrong rewrite is worse than none: a question that may stand alone is left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from engine.answering.base import Exchange
from engine.answering.prompts import rewrite_messages
from engine.answering.references import may_refer_back, other_year, refers_back
from engine.errors import LanguageModelUnavailable
from engine.text.normalisation import normalise_question

if TYPE_CHECKING:
    from engine.answering.language_model import LanguageModel

TIMEOUT = 5.0  # seconds; then the rules decide

_LONGEST = 600  # characters of a standalone question
_SHORTEST = 100  # characters kept of the question referred to


class _Rewritten(BaseModel):
    model_config = ConfigDict(extra="forbid")
    question: str


async def resolve(
    question: str, history: Sequence[Exchange], language_model: LanguageModel | None = None
) -> str:
    """The question as it reads without the session; itself if it stands alone. Never an error.

    history: oldest first. A language model is asked only where the question might refer back,
    and its rewrite is used if it came in time and is usable; else rules join the question
    with the last one that stood alone.
    """
    if not history or not may_refer_back(question):
        return question
    if language_model is not None:
        try:
            messages = rewrite_messages(question, history)
            reply = await language_model.complete(messages, _Rewritten, timeout_seconds=TIMEOUT)
            rewritten = normalise_question(reply.question)
            if 0 < len(rewritten) <= _LONGEST:
                return rewritten
        except LanguageModelUnavailable:
            pass
    return join(question, history) if refers_back(question) else question


def join(question: str, history: Sequence[Exchange]) -> str:
    """`question` with the last question that stood alone, and the follow-ups between, before it."""
    parts = [question]
    for exchange in reversed(history):
        parts.insert(0, exchange.question)
        if not refers_back(exchange.question):
            break
    if len(parts) > 2 and sum(map(len, parts)) > _LONGEST:
        parts = [parts[0], parts[-1]]
    if year := other_year(parts[-2], question):
        parts[-2:] = [year]
    room = _LONGEST - sum(len(part) + 1 for part in parts[1:])
    parts[0] = parts[0][: max(room, _SHORTEST)]
    return " ".join(_ended(part) for part in parts)


def _ended(question: str) -> str:
    """A question that another can follow: first letter upper case, a mark at its end."""
    question = question.strip()
    question = question[:1].upper() + question[1:]
    return question if question.endswith(("?", ".", "!", "…", "？")) else question + "?"
