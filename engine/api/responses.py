"""Responses that cost little: engine values straight to JSON, and events as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing

from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from engine.api.guard import error_event
from engine.api.problems import problem_of

PING = b": still working\n\n"
PING_SECONDS = 15.0  # before a proxy takes a slow stream for a dead one


def as_json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Dataclasses, UUIDs and dates included; nothing is validated again."""
    return Response(to_json(value), status, headers, "application/json")


def event(name: str, value: object) -> bytes:
    """One server-sent event with JSON in it."""
    return b"event: " + name.encode() + b"\ndata: " + to_json(value) + b"\n\n"


class EventStream(Response):
    """Server-sent events. What fails before the first is the response's own error; later, an event.

    Left in the middle, it closes its iterator, and with it the work behind.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no", **(headers or {})})
        del self.headers["content-length"]
        self._events = events
        self._sent = False

    def when_sent(self, ended: Callable[[bytes | None], Awaitable[None]]) -> None:
        """Have `ended` told all events once they have been made, or None where they were not."""
        self._events = _kept(self._events, ended)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them as they come."""
        async with aclosing(self._events) as pieces:
            first = await anext(pieces)
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send(_part(first))
            pinging = asyncio.create_task(self._ping(send), name="pings of a stream")
            try:
                async for piece in pieces:
                    self._sent = True
                    await send(_part(piece))
            except Exception as error:
                failed = error_event(problem_of(error), scope["path"], scope["state"]["request_id"])
                await send(_part(failed))
            finally:
                pinging.cancel()
        await send({"type": "http.response.body", "body": b""})

    async def _ping(self, send: Send) -> None:
        """While nothing comes."""
        while True:
            self._sent = False
            await asyncio.sleep(PING_SECONDS)
            if not self._sent:
                await send(_part(PING))


def _part(body: bytes) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": True}


async def _kept(
    events: AsyncGenerator[bytes], ended: Callable[[bytes | None], Awaitable[None]]
) -> AsyncGenerator[bytes]:
    pieces: list[bytes] = []
    whole = False
    try:
        async with aclosing(events) as coming:
            async for piece in coming:
                pieces.append(piece)
                yield piece
        whole = True
    finally:
        await ended(b"".join(pieces) if whole else None)
