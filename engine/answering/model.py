"""An answer, what it stands on, and how it came about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from engine.documents.model import Passage
from engine.retrieval.model import Candidate

Mode = Literal["fast", "balanced", "thorough"]
MODES: tuple[Mode, ...] = ("fast", "balanced", "thorough")

AnswerKind = Literal["generated", "quotes", "no_answer"]


@dataclass(frozen=True, slots=True)
class Citation:
    """A numbered reference from an answer to a place in a document.

    number: the n of [n], from 1, in the order of `Answer.sources`.
    start, end: character offsets of the cited sentence within `passage.text`.
    """

    number: int
    passage: Passage
    start: int
    end: int

    @property
    def quote(self) -> str:
        """The cited sentence, verbatim."""
        return self.passage.text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class StageTiming:
    """How long one stage of a question took, in milliseconds."""

    name: str
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Receipt:
    """How an answer came about; kept with its turn so that an old answer can be explained.

    stages: in the order they ran. total_ms, pool_wait_ms: milliseconds.
    cache: what was looked up → the layer that served it ("L1") or "miss".
    candidates_before, candidates_after: passages found, and passages given to the answerer.
    phrasings: the questions actually searched for.
    models: role (embedder, reranker, answerer) → name.
    settings: those in force that shape an answer.
    prompt_tokens, completion_tokens: of every language model that was asked; 0 where none was.
    cost_usd: of those tokens, at list price; None where a price is not known.
    """

    stages: tuple[StageTiming, ...] = ()
    total_ms: float = 0.0
    pool_wait_ms: float = 0.0
    cache: dict[str, str] = field(default_factory=dict)
    candidates_before: int = 0
    candidates_after: int = 0
    phrasings: tuple[str, ...] = ()
    models: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str | int | float | bool] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the user gets.

    question: as asked. standalone_question: with what the session's earlier turns imply.
    text: Markdown with [n] marks. kind: ``quotes`` are verbatim sentences; ``no_answer``
        says that the documents do not hold it, and `sources` are the nearest passages.
    citations: those that `text` uses, by number. sources: exactly what the answerer was
        given, best first; [n] is sources[n - 1].
    confidence: estimated probability in [0, 1] that the sources answer the question.
    unsupported: sentences of `text` that no source supports.
    removed_citations: marks that pointed nowhere and were taken out.
    complete: False where it was stopped or broke off.
    notice: a sentence for the reader about a degraded answer; usually empty.
    asks_again: id of the earlier turn of the session whose question this is, asked anew.
    """

    question: str
    standalone_question: str
    text: str
    kind: AnswerKind
    citations: tuple[Citation, ...]
    sources: tuple[Candidate, ...]
    confidence: float
    receipt: Receipt
    unsupported: tuple[str, ...] = ()
    removed_citations: int = 0
    complete: bool = True
    notice: str = ""
    asks_again: int | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage began: ``understanding``, ``searching``, ``reranking``, ``reading``, ``writing``."""

    name: str


@dataclass(frozen=True, slots=True)
class AnswerText:
    """The next piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The end of a stream. `turn_id` is None where no session was given."""

    answer: Answer
    turn_id: int | None = None


AnswerEvent = Stage | AnswerText | Answered
