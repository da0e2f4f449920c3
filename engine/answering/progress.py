"""One question on its way to its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.answering.base import Exchange
from engine.retrieval.model import Retrieval


@dataclass(frozen=True, slots=True)
class AskingLimits:
    """top_n: passages an answer is given."""

    k: int
    top_n: int
    question_characters: int
    history_turns: int


@dataclass(slots=True)
class Progress:
    """What is known of the answer so far: kept if the question is stopped.

    earlier: what was said before; None where the session tells it.
    """

    question: str
    standalone: str
    threshold: float
    asks_again: int | None = None
    earlier: Sequence[Exchange] | None = None
    phrasings: tuple[str, ...] = ()
    retrieval: Retrieval | None = None
    confidence: float = 0.0
    answerer: str = ""
    text: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
