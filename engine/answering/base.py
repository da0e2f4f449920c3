"""What an answerer is: the part that turns sources into an answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.answering.model import AnswerKind, Citation
from engine.retrieval.embedders.base import TokenEmbeddings, TokenVectors
from engine.retrieval.model import Candidate


@dataclass(frozen=True, slots=True)
class Exchange:
    """An earlier question and answer of the session, as plain text."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """Everything that an answerer may use.

    question: standalone. language: ISO 639-1 of the question, or "und".
    sources: best first; [n] means sources[n - 1].
    question_tokens, source_tokens: for choosing sentences by late interaction; None and
        empty where the embedder gives no token vectors. source_tokens follows `sources`.
    token_weights: of question_tokens, see `late_interaction_scores`.
    history: the session's latest exchanges, oldest first.
    embedder: name of the one that the scores come from.
    """

    question: str
    language: str
    sources: tuple[Candidate, ...]
    question_tokens: TokenEmbeddings | None = None
    source_tokens: tuple[TokenVectors, ...] = ()
    token_weights: NDArray[np.float32] | None = None
    history: tuple[Exchange, ...] = ()
    embedder: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """A finished answer text with its citations resolved; the fields are as in Answer."""

    text: str
    kind: AnswerKind
    citations: tuple[Citation, ...]
    unsupported: tuple[str, ...] = ()
    removed_citations: int = 0
    complete: bool = True
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Quoted:
    """A finished answer of quotes and the confidence that went with it.

    whole: whether everything was there that it can be made from.
    """

    confidence: float
    draft: Draft
    whole: bool = True


class Answerer(Protocol):
    """Writes an answer from sources.

    `stream` yields pieces of text as they come and, last, one Draft whose text replaces
    them. It raises LanguageModelUnavailable only before the first piece; afterwards a
    failure ends in a Draft with ``complete=False`` and a notice.
    """

    name: str

    def stream(self, request: AnswerRequest) -> AsyncIterator[str | Draft]: ...

    async def aclose(self) -> None: ...
