"""The requests that programs send all the time, past the general machinery of the framework.

That takes a good part of the processor time of a cached question: a search among all routes, layers for
what none of ours does, dependencies solved anew each time. A plain request goes straight to the same
endpoint; one that is out of the ordinary in any way, a wrong one above all, goes the usual way, so
that there is one place that says what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.api.problems import problem_of
from engine.api.shapes import Body
from engine.errors import DossierError

_HEX = "[0-9a-f]"
_ID = re.compile(f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}")
_UNUSUAL = (b"idempotency-key", b"transfer-encoding", b"content-encoding")


@dataclass(frozen=True, slots=True)
class Way:
    """An endpoint that takes a request and a body; and a session's id where its path has one.

    accept: whether it is also told what is accepted.
    """

    body: type[Body]
    endpoint: Callable[..., Awaitable[Response]]
    accept: bool = False


class Direct:
    """An ASGI application before the `usual` one. ways: of POST requests, by path with `{session_id}`."""

    def __init__(self, usual: ASGIApp, ways: Mapping[str, Way]) -> None:
        self._usual = usual
        self._ways = ways

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        asked = self._asked(scope)
        if asked is None:
            await self._usual(scope, receive, send)
            return
        way, given = asked
        messages, content = await _read(receive)
        try:
            given["body"] = way.body.model_validate_json(content)
        except ValidationError:
            await self._usual(scope, _again(messages, receive), send)
            return
        try:
            response = await way.endpoint(request=Request(scope, receive), **given)
            await response(scope, receive, send)
        except (DossierError, HTTPException) as error:  # a stream may find out at its first event
            problem = problem_of(error).response(scope["path"], scope["state"]["request_id"])
            await problem(scope, receive, send)

    def _asked(self, scope: Scope) -> tuple[Way, dict[str, Any]] | None:
        if scope["method"] != "POST":
            return None
        path: str = scope["path"]
        found = _ID.search(path)
        way = self._ways.get(path if found is None else path.replace(found[0], "{session_id}", 1))
        if way is None or scope["query_string"]:
            return None
        headers = dict(reversed(scope["headers"]))  # of several the first
        if headers.get(b"content-type") != b"application/json" or any(map(headers.__contains__, _UNUSUAL)):
            return None
        given: dict[str, Any] = {} if found is None else {"session_id": UUID(found[0])}
        if way.accept:
            given["accept"] = headers.get(b"accept", b"").decode("latin-1")
        return way, given


async def _read(receive: Receive) -> tuple[list[Message], bytes]:
    """The messages of the body, and what it is; nothing of one that broke off."""
    messages = [await receive()]
    while messages[-1]["type"] == "http.request" and messages[-1].get("more_body", False):
        messages.append(await receive())
    if messages[-1]["type"] != "http.request":
        return messages, b""
    return messages, b"".join(message.get("body", b"") for message in messages)


def _again(messages: list[Message], receive: Receive) -> Receive:
    """What gives these messages once more, and then what comes after them."""
    waiting = iter(messages)

    async def receive_again() -> Message:
        for message in waiting:
            return message
        return await receive()

    return receive_again
