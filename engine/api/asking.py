"""One question, without a session or in one: ask, search, rerank."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from fastapi import APIRouter
from starlette.responses import Response

from engine.answering.model import Answered, AnswerEvent
from engine.api.responses import as_json
from engine.api.shapes import AnswerShape, AskBody, answer_shape
from engine.engine import Engine


def asking_routes(engine: Callable[[], Engine]) -> APIRouter:
    """Routes under `/api`."""
    router = APIRouter(prefix="/api", tags=["asking"])

    @router.post("/ask", response_model=AnswerShape, summary="Ask, and wait for the whole answer")
    async def ask(body: AskBody) -> Response:
        """The answer cites its sources; what the documents do not hold is said to be so."""
        opened = engine()
        if body.session_id is not None:
            await opened.sessions.get(body.session_id)
        answered = await whole(
            opened.stream(
                body.question,
                session_id=body.session_id,
                filter=body.filter.value(),
                mode=body.mode,
                reranker=body.reranker,
            )
        )
        return as_json(answer_shape(answered.answer, body.mode, body.session_id, answered.turn_id))

    return router


async def whole(events: AsyncIterator[AnswerEvent]) -> Answered:
    """The end of a stream that nobody follows."""
    async for event in events:
        if isinstance(event, Answered):
            return event
    raise AssertionError("a stream ends with its answer")
