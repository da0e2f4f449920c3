"""What requests hold and responses give, where the engine's own values are not given as they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from engine.answering.model import MODES, Answer, AnswerKind, Mode
from engine.chat.model import Turn, Vote
from engine.documents.model import DocumentFilter, Passage, Status
from engine.reranking import RERANKERS
from engine.retrieval.model import Candidate

# A text that PostgreSQL can hold, and an id that it can have given.
Text = Annotated[str, Field(max_length=10_000, pattern=r"^[^\x00]*$")]
Word = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]+$")]
Id = Annotated[int, Field(ge=1, le=2**31 - 1)]


def _written_out(day: object) -> object:
    """Seconds since 1970, which pydantic takes for a date as well, are mostly somebody's mistake."""
    if not isinstance(day, str) or re.fullmatch(r"\d{4}-\d\d-\d\d", day, re.ASCII) is None:
        raise ValueError("A date is written as YYYY-MM-DD.")
    return day


Day = Annotated[date, BeforeValidator(_written_out)]
# The pattern is told, not enforced: the engine says it better.
Question = Annotated[
    str,
    Field(
        min_length=1,
        description="At most MAX_QUESTION_CHARACTERS, with at least one letter or digit.",
        json_schema_extra={"pattern": r"[^\W_]", "maxLength": 4000},
        examples=["Thời hạn hiệu lực của hồ sơ dự thầu là bao lâu?"],
    ),
]
RerankerName = Annotated[
    str | None,
    Field(
        description="Instead of DEFAULT_RERANKER_TYPE.",
        json_schema_extra={"anyOf": [{"enum": list(RERANKERS)}, {"type": "null"}]},
    ),
]


class Body(BaseModel):
    """A request's JSON body; a name that does not exist is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FilterBody(Body):
    """Which documents it is about. Within a field any value may match; all given fields must hold."""

    document_ids: Annotated[tuple[Id, ...], Field(max_length=1000)] = ()
    types: Annotated[tuple[Word, ...], Field(max_length=100)] = ()
    languages: Annotated[tuple[Word, ...], Field(max_length=100)] = ()
    tags: Annotated[tuple[Word, ...], Field(max_length=100)] = ()
    statuses: Annotated[tuple[Status, ...], Field(max_length=10)] = ()
    published_from: Day | None = None
    published_to: Day | None = None
    text: Annotated[Text, Field(max_length=200, description="Words of the title or the file name.")] = ""
    collection_ids: Annotated[tuple[Id, ...], Field(max_length=100)] = ()

    def value(self) -> DocumentFilter:
        """As the engine takes it."""
        return DocumentFilter(**{name: getattr(self, name) for name in type(self).model_fields})


class AskBody(Body):
    """A question. session_id: keeps it and its answer there, and lets it refer to what came before."""

    question: Question
    mode: Mode = Field("fast", description=f"One of {', '.join(MODES)}; all but fast need a language model.")
    reranker: RerankerName = None
    filter: FilterBody = FilterBody()
    session_id: UUID | None = None


class MessageBody(Body):
    """A question within a session."""

    question: Question
    mode: Mode = "fast"
    reranker: RerankerName = None
    filter: FilterBody = FilterBody()


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a document. pages from 1; None where the format has none."""

    passage_id: int
    document_id: int
    title: str
    heading: str
    page: int | None
    last_page: int | None


@dataclass(frozen=True, slots=True)
class CitationShape(Place):
    """number: the n of [n] in the answer. quote: the cited sentence, verbatim.

    start, end: where it stands in the passage's text.
    """

    number: int
    quote: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class FoundPassage(Place):
    """A passage and what led to its place: see `scores`. status, type: of its document."""

    text: str
    context: str
    type: str
    status: Status
    score: float
    lexical: float | None
    dense: float | None
    fused: float
    reranked: float | None


@dataclass(frozen=True, slots=True)
class AnswerShape:
    """An answer. text: Markdown with marks [n]; citations: what they mean. sources: what it was given.

    kind: ``generated``, ``quotes`` (verbatim), or ``no_answer``: the documents do not hold it.
    confidence: estimated probability that the sources answer the question.
    timings: milliseconds by stage; `total` is the whole. cache: what served each look-up.
    """

    question: str
    standalone_question: str
    text: str
    kind: AnswerKind
    complete: bool
    confidence: float
    notice: str
    citations: tuple[CitationShape, ...]
    sources: tuple[FoundPassage, ...]
    unsupported: tuple[str, ...]
    timings: dict[str, float]
    cache: dict[str, str]
    models: dict[str, str]
    mode: Mode
    prompt_tokens: int
    completion_tokens: int
    session_id: UUID | None
    turn_id: int | None


@dataclass(frozen=True, slots=True)
class TurnShape:
    """A question with its answer, as the session keeps it."""

    id: int
    position: int
    created_at: datetime
    vote: Vote | None
    answer: AnswerShape


def answer_shape(answer: Answer, mode: Mode, session_id: UUID | None, turn_id: int | None) -> AnswerShape:
    """An answer as routes give it."""
    receipt = answer.receipt
    timings = {stage.name: round(stage.milliseconds, 3) for stage in receipt.stages}
    return AnswerShape(
        question=answer.question,
        standalone_question=answer.standalone_question,
        text=answer.text,
        kind=answer.kind,
        complete=answer.complete,
        confidence=answer.confidence,
        notice=answer.notice,
        citations=tuple(
            CitationShape(*_place(c.passage), c.number, c.quote, c.start, c.end) for c in answer.citations
        ),
        sources=tuple(found_passage(source) for source in answer.sources),
        unsupported=answer.unsupported,
        timings=timings | {"pool_wait": receipt.pool_wait_ms, "total": receipt.total_ms},
        cache=receipt.cache,
        models=receipt.models,
        mode=mode,
        prompt_tokens=receipt.prompt_tokens,
        completion_tokens=receipt.completion_tokens,
        session_id=session_id,
        turn_id=turn_id,
    )


def turn_shape(turn: Turn) -> TurnShape:
    """A turn as routes give it."""
    answer = answer_shape(turn.answer, turn.mode, turn.session_id, turn.id)
    return TurnShape(turn.id, turn.position, turn.created_at, turn.vote, answer)


def found_passage(candidate: Candidate) -> FoundPassage:
    """A candidate as routes give it."""
    p, c = candidate.passage, candidate
    scores = (c.score, c.lexical, c.dense, c.fused, c.reranked)
    return FoundPassage(*_place(p), p.text, p.context, p.document_type, p.document_status, *scores)


def _place(passage: Passage) -> tuple[int, int, str, str, int | None, int | None]:
    return (
        passage.id,
        passage.document_id,
        passage.document_title,
        passage.heading,
        passage.page,
        passage.last_page,
    )
