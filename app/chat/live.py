"""Asking without a run of the page: the chat box's script asks here, and shows what comes.

Running a page again costs ten times what a cached answer does. So the answer is sent to the page as
it stands, as HTML; the page itself is run again once somebody wants to do something with it.

Server-sent events, in this order: `session` (a new one's id), `written` while it takes long (what
is being done, and the HTML of what is written so far), `turn` (its id, and the HTML of the whole).
What fails on the way is an `error` with problem details.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from app.chat.asking import REDRAW_SECONDS, STAGES
from app.chat.fresh import fresh_turn_html
from app.chat.markup import answer_html
from app.chat.turns import kept_turn
from app.visitor import COOKIE
from engine import Engine
from engine.access.principal import Principal
from engine.answering.base import Exchange
from engine.answering.model import Answered, AnswerEvent, AnswerText, Stage
from engine.api.guard import JSON_BYTES, Guard, Limits
from engine.api.responses import EventStream, event
from engine.api.shapes import AskBody
from engine.observability.trace import Origin

PATH = "/chat/ask"

Item = TypeVar("Item")


class LiveChat:
    """An ASGI application of one path. engine: asked for once the first question comes."""

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = engine
        self._limits: Limits | None = None
        self._guarded = Guard(self._ask, self._limited)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One question."""
        with Origin("page"):
            await self._guarded(scope, receive, send)

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            asked = AskBody.model_validate_json(await Request(scope, receive).body())
        except ValidationError as error:
            raise RequestValidationError(error.errors()) from error
        await EventStream(self._told(asked))(scope, receive, send)

    async def _told(self, asked: AskBody) -> AsyncGenerator[bytes]:
        engine, scope = self._engine(), asked.filter.value()
        replaces: int | None = None
        said: tuple[Exchange, ...] = ()
        if asked.session_id is None:
            session_id = (await engine.sessions.create(asked.question)).id
            yield event("session", {"id": session_id})
        else:
            session_id, earlier = asked.session_id, engine.settings.answer_history_turns
            replaces, said = await engine.sessions.opening(session_id, asked.question, earlier)
        kind = "generated" if engine.language_model else "quotes"
        doing, text = "", ""
        shown, shown_at = ("", ""), time.monotonic()
        coming: AsyncIterator[AnswerEvent] = engine.stream(
            asked.question,
            session_id=session_id,
            filter=scope,
            mode=asked.mode,
            reranker=asked.reranker,
            replaces=replaces,
            history=said,
        )
        async with aclosing(_or_none(coming, REDRAW_SECONDS)) as events:
            async for told in events:
                match told:
                    case Stage(name):
                        doing = STAGES.get(name, name)
                    case Answered():
                        turn = kept_turn(told, session_id, scope, asked.mode)
                        yield event("turn", {"id": turn.id, "html": fresh_turn_html(turn)})
                        return
                    case AnswerText(piece):
                        text += piece
                # A quick answer is not worth telling how it is made.
                if (doing, text) != shown and time.monotonic() - shown_at >= REDRAW_SECONDS:
                    shown, shown_at = (doing, text), time.monotonic()
                    yield event("written", {"doing": doing, "html": answer_html(text, kind)})

    def _limited(self) -> Limits:
        if self._limits is None:
            settings = self._engine().settings
            self._limits = Limits.of(settings, JSON_BYTES, self._who)
        return self._limits

    async def _who(self, headers: Headers) -> Principal:
        token = Request({"type": "http", "headers": headers.raw}).cookies.get(COOKIE, "")
        return await self._engine().entrance.sign_ins.of_browser(token)


async def _or_none(items: AsyncIterator[Item], seconds: float) -> AsyncGenerator[Item | None]:
    """Items as they come, and None whenever none has come for so long. Closing it closes them."""
    async with aclosing(items) as open_items:  # type: ignore[type-var]
        coming: asyncio.Task[Item] | None = None
        try:
            while True:
                coming = coming or asyncio.ensure_future(anext(open_items))
                await asyncio.wait({coming}, timeout=seconds)
                if not coming.done():
                    yield None
                    continue
                taken, coming = coming, None
                try:
                    yield taken.result()
                except StopAsyncIteration:
                    return
        finally:
            if coming is not None:
                coming.cancel()
                await asyncio.wait({coming})
