"""What holds for every request: an id, limits, time-outs, no use from other sites, problem details."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit
from uuid import uuid4

from pydantic_core import to_json
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.access.principal import Principal, acting
from engine.access.rates import RateLimit, sender
from engine.api.problems import BUSY, TIMED_OUT, TOO_LARGE, TOO_MANY, Problem, Refused, problem_of
from engine.errors import NotSignedIn
from engine.settings import Settings

log = logging.getLogger(__name__)

JSON_BYTES = 1_000_000  # largest body that is not an upload
FORM_BYTES = 100_000  # what a multipart body may hold beside its files
UNREAD_BYTES = 8_000_000  # of a refused body that are read all the same, and for how long
UNREAD_SECONDS = 2.0
OPEN_PATHS = ("/health", "/ready")  # for those who look after the process: never refused
_MEDIA_TYPES = ("application/json", "multipart/form-data")
_SAFE = ("GET", "HEAD", "OPTIONS")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

FOREIGN = Problem(
    403,
    "foreign-origin",
    "Pages of another site may not do this.",
    hint="Send no Origin header, or call from a page of this address.",
)
MEDIA_TYPE = Problem(
    415,
    "media-type",
    "That media type is not taken here.",
    hint="Send application/json; files as multipart/form-data.",
)


@dataclass(frozen=True, slots=True)
class Limits:
    """upload_bytes: of a multipart body. seconds: for a request, its body's arrival not counted.
    in_flight: requests at once. who: by what a request brings; None asks for nothing.
    rate: None where requests are not counted."""

    upload_bytes: int
    seconds: float
    in_flight: int
    who: Callable[[Headers], Awaitable[Principal]] | None = None
    rate: RateLimit | None = None

    @classmethod
    def of(
        cls, settings: Settings, upload_bytes: int, who: Callable[[Headers], Awaitable[Principal]]
    ) -> Limits:
        """As the settings say. who: asked where there is access control."""
        per_minute = settings.rate_limit_requests_per_minute
        return cls(
            upload_bytes=upload_bytes,
            seconds=settings.request_timeout_seconds,
            in_flight=settings.max_requests_in_flight,
            who=who if settings.access_control else None,
            rate=RateLimit(per_minute) if settings.rate_limit_enabled else None,
        )


class Guard:
    """ASGI middleware around the routes. limits: asked at the first request."""

    def __init__(self, app: ASGIApp, limits: Callable[[], Limits]) -> None:
        self._app = app
        self._limits = limits
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. Raises nothing but cancellation, and what breaks a response in its middle."""
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        answer = _Answer(send, request_id)
        limits = self._limits()
        try:
            if scope["path"] in OPEN_PATHS:
                await self._app(scope, receive, answer.send)
                return
            principal = await self._check(scope, headers, limits)
            if self._in_flight >= limits.in_flight:
                raise Refused(BUSY)
        except Exception as error:
            await _read_away(headers, receive)
            await answer.refuse(scope["path"], _told(error, request_id))
            return
        self._in_flight += 1
        try:
            with contextlib.nullcontext() if principal is None else acting(principal):
                await self._run(scope, headers, receive, answer, limits)
        finally:
            self._in_flight -= 1

    async def _check(self, scope: Scope, headers: Headers, limits: Limits) -> Principal | None:
        """Who sends it, where that is asked.

        Raises Refused for a request that is refused before anything is read of it.
        """
        if limits.rate is not None and (wait := await limits.rate.hit(sender(scope.get("client")))):
            hint = f"Try again in {wait} seconds; see Retry-After."
            detail = "Too many requests from this address."
            raise Refused(replace(TOO_MANY, detail=detail, retry_after=wait, hint=hint))
        if scope["method"] not in _SAFE and foreign(headers):
            raise Refused(FOREIGN)
        principal = None if limits.who is None else await limits.who(headers)
        length = headers.get("content-length", "")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        has_body = length != "0" and (length or "transfer-encoding" in headers)
        if scope["method"] not in _SAFE and has_body and kind not in _MEDIA_TYPES:
            raise Refused(MEDIA_TYPE)
        if length.isascii() and length.isdigit() and int(length) > _largest(headers, limits):
            raise Refused(TOO_LARGE)
        return principal

    async def _run(
        self, scope: Scope, headers: Headers, receive: Receive, answer: _Answer, limits: Limits
    ) -> None:
        path = scope["path"]
        request_id = scope["state"]["request_id"]
        try:
            async with asyncio.timeout(limits.seconds) as deadline:
                body = _Body(receive, deadline, limits.seconds, _largest(headers, limits))
                try:
                    await self._app(scope, body.receive, answer.send)
                finally:
                    body.close()
        except asyncio.CancelledError:
            if not body.left:
                raise
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
        except TimeoutError as error:
            timed_out = TIMED_OUT if deadline.expired() else _told(error, request_id)
            await answer.refuse(path, timed_out)
        except Exception as error:
            if body.left:
                return
            await answer.refuse(path, _told(error, request_id))


async def _read_away(headers: Headers, receive: Receive) -> None:
    """Read a refused body for a while: closing on a client that still sends loses it the answer
    (RFC 9112, section 9.6). One that asked first (Expect) waits for the answer before it sends.
    """
    if "expect" in headers:
        return
    left = UNREAD_BYTES
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(UNREAD_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


class _Body:
    """The request's body, counted; and, once it has been read, whether the client is still there.

    The task that serves a client that has left is cancelled, which gives back all it holds.
    """

    def __init__(self, receive: Receive, deadline: asyncio.Timeout, seconds: float, largest: int) -> None:
        self._receive = receive
        self._deadline = deadline
        self._seconds = seconds
        self._largest = largest
        self._got = 0
        self._gone = asyncio.Event()
        self._serving = asyncio.current_task()
        self._watching: asyncio.Task[None] | None = None
        self.left = False

    async def receive(self) -> Message:
        if self._watching is not None:
            await self._gone.wait()
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.left = True
            return message
        self._got += len(message.get("body", b""))
        if self._got > self._largest:
            raise Refused(TOO_LARGE)
        self._deadline.reschedule(asyncio.get_running_loop().time() + self._seconds)
        if not message.get("more_body", False):
            self._watching = asyncio.create_task(self._watch())
        return message

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.left = True
        self._gone.set()
        if self._serving is not None:
            self._serving.cancel()

    def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()


class _Answer:
    """The response on its way: gets its id, and knows whether it may still be another one."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self._streaming = False
        self.started = False
        self.ended = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = dict(message["headers"])
            headers[b"x-request-id"] = self._request_id.encode()
            headers.setdefault(b"cache-control", b"no-store")
            headers[b"x-content-type-options"] = b"nosniff"
            self._streaming = headers.get(b"content-type", b"").startswith(b"text/event-stream")
            message = {**message, "headers": [*headers.items()]}
            self.started = True
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self.ended = True
        await self._send(message)

    async def refuse(self, path: str, problem: Problem) -> None:
        """Send a problem: as the response, or as the last event of one that has begun."""
        if not self.started:
            response = problem.response(path, self._request_id)
            await self.send(
                {
                    "type": "http.response.start",
                    "status": response.status_code,
                    "headers": response.raw_headers,
                }
            )
            await self.send({"type": "http.response.body", "body": bytes(response.body)})
        elif self._streaming and not self.ended:
            with contextlib.suppress(OSError):
                await self.send(
                    {
                        "type": "http.response.body",
                        "body": error_event(problem, path, self._request_id),
                    }
                )
        elif not self.ended:
            raise ConnectionAbortedError("broken off in the middle of a response")


def error_event(problem: Problem, path: str, request_id: str) -> bytes:
    """The last event of a stream that could not go on."""
    return b"event: error\ndata: " + to_json(problem.members(path, request_id)) + b"\n\n"


def _told(error: Exception, request_id: str) -> Problem:
    problem = problem_of(error)
    if problem.status >= 500:
        log.error("Request %s failed", request_id, exc_info=error if problem.status == 500 else None)
    return problem


def key_of(headers: Headers) -> str:
    """What a program shows to be let in. Raises NotSignedIn where that is nothing."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given:
        raise NotSignedIn("A key is needed.")
    return given.strip()


def foreign(headers: Headers) -> bool:
    """Whether a browser sends this for a page of another site."""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
        return True
    return headers.get("sec-fetch-site", "same-origin") in ("cross-site", "same-site")


def _largest(headers: Headers, limits: Limits) -> int:
    upload = headers.get("content-type", "").lower().startswith("multipart/form-data")
    return limits.upload_bytes + FORM_BYTES if upload else min(JSON_BYTES, limits.upload_bytes + FORM_BYTES)
