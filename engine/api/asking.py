"""One question, without a session or in one: ask, search, rerank."""

from __future__ import annotations

import hashlib
import math
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from engine.answering.model import Answered, AnswerEvent
from engine.api.idempotency import Claim, Idempotency, IdempotencyKey
from engine.api.responses import as_json
from engine.api.shapes import (
    AnswerShape,
    AskBody,
    Body,
    FilterBody,
    FoundPassage,
    Id,
    Question,
    RerankerName,
    answer_shape,
    found_passage,
    turn_shape,
)
from engine.documents.model import Passage
from engine.engine import Engine
from engine.errors import NotFound
from engine.retrieval.retriever import Search
from engine.text.normalisation import normalise

Content = Annotated[str, Field(min_length=1, max_length=20_000, pattern=r"^[^\x00]*$")]


class SearchBody(Body):
    """search: by words (BM25), by meaning, or both. reranker: none searches without one."""

    question: Question
    k: Annotated[int, Field(ge=1, le=200)] = 10
    filter: FilterBody = FilterBody()
    search: Search = "hybrid"
    reranker: RerankerName = None

    def pipeline(self) -> str | None:
        """As `Engine.search` names it."""
        if self.reranker is None:
            return None if self.search == "hybrid" else self.search
        return self.search if self.reranker == "none" else f"{self.search}+{self.reranker}"


@dataclass(frozen=True, slots=True)
class Found:
    """Passages, best first."""

    passages: tuple[FoundPassage, ...]


class RerankBody(Body):
    """passages: ids of stored passages, or texts."""

    question: Question
    passages: Annotated[tuple[Id | Content, ...], Field(max_length=200)]
    reranker: RerankerName = None
    top_n: Annotated[int, Field(ge=1, le=200)] = 200


@dataclass(frozen=True, slots=True)
class ScoredPassage:
    """index: its place in the request. score: higher is better, any scale; null where none could be given."""

    index: int
    passage_id: int | None
    score: float | None


@dataclass(frozen=True, slots=True)
class Reranked:
    """Best first. reranker: who scored; another may have stood in, and then `notice` says so."""

    reranker: str
    notice: str
    results: tuple[ScoredPassage, ...]
    prompt_tokens: int
    completion_tokens: int


def asking_routes(engine: Callable[[], Engine], idempotency: Idempotency) -> APIRouter:
    """Routes under `/api`."""
    router = APIRouter(prefix="/api", tags=["asking"])

    @router.post("/ask", response_model=AnswerShape, summary="Ask, and wait for the whole answer")
    async def ask(request: Request, body: AskBody, idempotency_key: IdempotencyKey = None) -> Response:
        """The answer cites its sources; what the documents do not hold is said to be so."""

        async def work(claim: Claim | None) -> Response:
            opened = engine()
            if claim is not None and claim.made is not None:
                return as_json(turn_shape(await opened.sessions.turn(int(claim.made))).answer)
            if body.session_id is not None:
                await opened.sessions.get(body.session_id)
            answered = await whole(
                opened.stream(
                    body.question,
                    session_id=body.session_id,
                    filter=body.filter.value(),
                    mode=body.mode,
                    reranker=body.reranker,
                    also=None if claim is None else claim.note,
                )
            )
            return as_json(answer_shape(answered.answer, body.mode, body.session_id, answered.turn_id))

        return await idempotency.once(request, idempotency_key, body.model_dump_json(), work)

    @router.post("/search", response_model=Found, summary="The passages that come closest")
    async def search(body: SearchBody) -> Response:
        candidates = await engine().search(
            body.question, k=body.k, filter=body.filter.value(), pipeline=body.pipeline()
        )
        return as_json(Found(tuple(map(found_passage, candidates))))

    @router.post("/rerank", response_model=Reranked, summary="Score passages for a question")
    async def rerank(body: RerankBody) -> Response:
        """Stored passages by their ids, or texts of your own."""
        opened = engine()
        passages = await _passages(opened, body.passages)
        scores = await opened.rerank(body.question, passages, reranker=body.reranker)
        scored = [
            ScoredPassage(index, given if isinstance(given, int) else None, value)
            for index, (given, value) in enumerate(zip(body.passages, scores.values, strict=True))
        ]
        scored.sort(key=lambda s: -math.inf if s.score is None else s.score, reverse=True)
        usage = scores.prompt_tokens, scores.completion_tokens
        return as_json(Reranked(scores.served_by, scores.notice, tuple(scored[: body.top_n]), *usage))

    return router


async def _passages(engine: Engine, given: Sequence[int | str]) -> list[Passage]:
    ids = [one for one in given if isinstance(one, int)]
    async with engine.database.read() as db:
        stored = await engine.documents.load_passages(db, ids) if ids else {}
    if missing := [one for one in ids if one not in stored]:
        raise NotFound(
            f"There is no passage {missing[0]}.", hint="Its document may have changed or been deleted."
        )
    return [
        stored[one] if isinstance(one, int) else _of_text(-position, one)
        for position, one in enumerate(given, start=1)
    ]


def _of_text(number: int, text: str) -> Passage:
    """A text from outside as a passage; its number is no stored one's."""
    return Passage(
        id=number,
        document_id=0,
        document_title="",
        document_type="txt",
        document_status="active",
        document_version=1,
        position=0,
        text=normalise(text, keep_line_breaks=True),
        heading="",
        context="",
        page=None,
        start=0,
        end=len(text),
        content_hash=hashlib.sha256(text.encode()).hexdigest(),
    )


async def whole(events: AsyncIterator[AnswerEvent]) -> Answered:
    """The end of a stream that nobody follows."""
    async for event in events:
        if isinstance(event, Answered):
            return event
    raise AssertionError("a stream ends with its answer")
