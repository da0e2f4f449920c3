"""Sessions over REST: they are those of the pages, with the same turns."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from engine.answering.model import Answered, AnswerEvent, AnswerText, Mode, Stage
from engine.api.asking import whole
from engine.api.idempotency import Claim, Idempotency, IdempotencyKey
from engine.api.responses import EventStream, as_json, event
from engine.api.shapes import AnswerShape, Body, Id, MessageBody, Text, TurnShape, answer_shape, turn_shape
from engine.chat.model import Session, Vote
from engine.engine import Engine
from engine.errors import NotFound

EVENTS = {
    "description": "The whole answer; with `Accept: text/event-stream` its making, in this order: "
    "`stage` as each begins, `text` pieces, and one `answer`, which holds the whole. "
    "What fails on the way is an `error` event with problem details.",
    "content": {"text/event-stream": {"schema": {"description": "Server-sent events."}}},
}
Accept = Annotated[str, Header(description="`text/event-stream` streams.", include_in_schema=False)]

TurnId = Annotated[Id, Path()]


class SessionBody(Body):
    """title: empty takes the first question."""

    title: Text = ""


class VoteBody(Body):
    """vote: null takes it back."""

    vote: Vote | None
    reason: Text = ""


@dataclass(frozen=True, slots=True)
class SessionList:
    """The latest first. next_offset: where the next page begins; null on the last."""

    sessions: tuple[Session, ...]
    next_offset: int | None


@dataclass(frozen=True, slots=True)
class History:
    """Turns in order, up to the latest or to `before`. before: for the page before it; null on the first."""

    session: Session
    turns: tuple[TurnShape, ...]
    before: int | None


def chat_routes(engine: Callable[[], Engine], idempotency: Idempotency) -> APIRouter:
    """Routes under `/api/chat/sessions`."""
    router = APIRouter(prefix="/api/chat/sessions", tags=["chat"])

    @router.post("", response_model=Session, status_code=201, summary="Begin a session")
    async def create(request: Request, body: SessionBody, idempotency_key: IdempotencyKey = None) -> Response:
        async def work(claim: Claim | None) -> Response:
            sessions = engine().sessions
            if claim is not None and claim.made is not None:
                session = await sessions.get(UUID(claim.made))
            else:
                session = await sessions.create(body.title, also=None if claim is None else claim.note)
            return as_json(session, 201, {"Location": f"/api/chat/sessions/{session.id}"})

        return await idempotency.once(request, idempotency_key, body.model_dump_json(), work)

    @router.get("", response_model=SessionList, summary="List sessions, the latest first")
    async def listed(
        search: Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")] = "",
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    ) -> Response:
        found = await engine().sessions.list(search, limit + 1, offset, empty_too=True)
        return as_json(SessionList(tuple(found[:limit]), offset + limit if len(found) > limit else None))

    @router.get("/{session_id}", response_model=Session, summary="One session")
    async def one(session_id: UUID) -> Response:
        return as_json(await engine().sessions.get(session_id))

    @router.post(
        "/{session_id}/messages",
        response_model=AnswerShape,
        responses={200: EVENTS},
        summary="Ask within a session",
    )
    async def ask(
        request: Request,
        session_id: UUID,
        body: MessageBody,
        accept: Accept = "",
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """A question that was stopped, and is asked again, takes the place of its stopped turn."""
        streaming = "text/event-stream" in accept

        async def work(claim: Claim | None) -> Response:
            opened = engine()
            if claim is not None and claim.made is not None:
                answer = turn_shape(await opened.sessions.turn(int(claim.made))).answer
                return EventStream(_kept(answer)) if streaming else as_json(answer)
            earlier = opened.settings.answer_history_turns
            stopped, said = await opened.sessions.opening(session_id, body.question, earlier)
            events = opened.stream(
                body.question,
                session_id=session_id,
                filter=body.filter.value(),
                mode=body.mode,
                reranker=body.reranker,
                replaces=stopped,
                history=said,
                also=None if claim is None else claim.note,
            )
            if streaming:
                return EventStream(_told(events, body.mode, session_id))
            answered = await whole(events)
            return as_json(answer_shape(answered.answer, body.mode, session_id, answered.turn_id))

        content = f"{streaming} {body.model_dump_json()}"
        return await idempotency.once(request, idempotency_key, content, work)

    @router.get("/{session_id}/history", response_model=History, summary="The turns of a session")
    async def history(
        session_id: UUID,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        before: Annotated[int | None, Query(ge=0, le=1_000_000, description="A position.")] = None,
    ) -> Response:
        sessions = engine().sessions
        session = await sessions.get(session_id)
        end = session.turn_count if before is None else min(before, session.turn_count)
        latest = session.turn_count - end + limit
        turns = [turn for turn in await sessions.turns(session_id, latest) if turn.position < end]
        first = turns[0].position if turns else 0
        return as_json(History(session, tuple(map(turn_shape, turns)), first or None))

    @router.put(
        "/{session_id}/turns/{turn_id}/vote", status_code=204, summary="Say whether an answer was good"
    )
    async def vote(session_id: UUID, turn_id: TurnId, body: VoteBody) -> Response:
        sessions = engine().sessions
        if (await sessions.turn(turn_id)).session_id != session_id:
            raise NotFound("There is no such answer in this session.")
        await sessions.vote(turn_id, body.vote, body.reason)
        return Response(status_code=204)

    @router.delete(
        "/{session_id}", status_code=204, summary="Delete a session; it can be restored for a while"
    )
    async def delete(session_id: UUID) -> Response:
        await engine().sessions.delete(session_id)
        return Response(status_code=204)

    @router.post("/{session_id}/restore", response_model=Session, summary="Undo a deletion")
    async def restore(session_id: UUID) -> Response:
        sessions = engine().sessions
        await sessions.restore(session_id)
        return as_json(await sessions.get(session_id))

    return router


async def _kept(answer: AnswerShape) -> AsyncGenerator[bytes]:
    """The end of a stream that was made before."""
    yield event("answer", answer)


async def _told(events: AsyncIterator[AnswerEvent], mode: Mode, session_id: UUID) -> AsyncGenerator[bytes]:
    async with aclosing(events) as coming:  # type: ignore[type-var]
        async for told in coming:
            match told:
                case Stage(name):
                    yield event("stage", {"stage": name})
                case AnswerText(text):
                    yield event("text", {"text": text})
                case Answered(answer, turn_id):
                    yield event("answer", answer_shape(answer, mode, session_id, turn_id))
