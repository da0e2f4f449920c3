"""A local server that speaks the OpenAI protocol, scripted by the test that drives it.

    with OpenAIServer() as server:
        server.script(Reply(status=429, headers={"Retry-After": "0.05"}), Reply("Hello [1]."))
        client = AsyncOpenAI(api_key="test", base_url=server.url)

Replies are used in order; when they run out, `server.default` is. It never calls out.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from .local_server import LocalServer

Messages = list[dict[str, Any]]


@dataclass(frozen=True)
class Reply:
    """One scripted answer. Delays in seconds.

    text: the answer, or a function of the request's messages.
    pieces: how a stream is cut; by words if not given.
    break_after: closes the connection after so many pieces, in the middle of the stream.
    garble_after: sends half a JSON object after so many pieces.
    hang_after: goes silent after so many pieces; 0 hangs before the first.
    """

    text: str | Callable[[Messages], str] = "Yes [1]."
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_first: float = 0.0
    delay_between: float = 0.0
    pieces: Sequence[str] | None = None
    break_after: int | None = None
    garble_after: int | None = None
    hang_after: int | None = None
    finish_reason: str = "stop"
    message: str = "scripted failure"


@dataclass(frozen=True)
class Recorded:
    """A request as it arrived. at: seconds on the monotonic clock."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str]
    at: float

    @property
    def messages(self) -> Messages:
        return list(self.body.get("messages", []))

    @property
    def prompt(self) -> str:
        """The last message's text."""
        return str(self.messages[-1]["content"])


class OpenAIServer(LocalServer):
    """Runs in a thread on 127.0.0.1 and a free port while its context is open.

    requests: every request, in order. most_at_once: chat requests under way together since `script`.
    refuse: request parameters answered with a 400, as
    servers do that do not know them. dimension: of the embeddings served.
    """

    def __init__(self, *, dimension: int = 64) -> None:
        self.requests: list[Recorded] = []
        self.default = Reply()
        self.refuse: set[str] = set()
        self.dimension = dimension
        self.most_at_once = 0
        self._under_way = 0
        self._replies: deque[Reply] = deque()
        self._disconnected = threading.Event()
        self._arrived = threading.Event()
        super().__init__(
            [
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
                Route("/v1/embeddings", self._embeddings, methods=["POST"]),
                Route("/v1/models", self._models),
            ]
        )

    @property
    def url(self) -> str:
        return f"{self.address}/v1"

    def script(self, *replies: Reply) -> None:
        """Queue replies for the next requests, and forget what came before."""
        self._replies.clear()
        self._replies.extend(replies)
        self.requests.clear()
        self.most_at_once = 0
        self._disconnected.clear()
        self._arrived.clear()

    async def arrived(self, timeout: float = 2.0) -> bool:
        """Wait until a request has come since `script`."""
        return await asyncio.to_thread(self._arrived.wait, timeout)

    async def disconnected(self, timeout: float = 2.0) -> bool:
        """Wait until a client has left in the middle of a reply."""
        return await asyncio.to_thread(self._disconnected.wait, timeout)

    async def _record(self, request: Request) -> tuple[Recorded, Reply, Response | None]:
        body = json.loads(await request.body())
        recorded = Recorded(request.url.path, body, dict(request.headers), time.monotonic())
        self.requests.append(recorded)
        self._arrived.set()
        reply = self._replies.popleft() if self._replies else self.default
        refused = sorted(self.refuse & body.keys())
        if refused:
            return recorded, reply, _error(400, f"Unsupported parameter: '{refused[0]}'", {}, refused[0])
        if reply.status != 200:
            return recorded, reply, _error(reply.status, reply.message, reply.headers, None)
        return recorded, reply, None

    async def _chat(self, request: Request) -> Response:
        recorded, reply, error = await self._record(request)
        if error is not None:
            return error
        text = reply.text if isinstance(reply.text, str) else reply.text(recorded.messages)
        usage = {"prompt_tokens": len(str(recorded.messages)) // 4, "completion_tokens": len(text) // 4}
        usage["total_tokens"] = sum(usage.values())
        if recorded.body.get("stream"):
            options = recorded.body.get("stream_options") or {}
            chunks = _chunks(reply, text, usage if options.get("include_usage") else None)
            return _Scripted(self, reply, chunks, "text/event-stream")
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": reply.finish_reason, "logprobs": None}
        whole = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "scripted"}
        body = json.dumps({**whole, "choices": [choice], "usage": usage})
        return _Scripted(self, reply, [body], "application/json")

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            yield
        finally:
            self._under_way -= 1

    async def _embeddings(self, request: Request) -> Response:
        recorded, reply, error = await self._record(request)
        if error is not None:
            return error
        await asyncio.sleep(reply.delay_first)
        given = recorded.body["input"]
        texts = [given] if isinstance(given, str) else given
        dimension = recorded.body.get("dimensions") or self.dimension
        data = []
        for index, text in enumerate(texts):
            vector = _vector(str(text), dimension)
            encoded: object = vector.tolist()
            if recorded.body.get("encoding_format") == "base64":
                encoded = base64.b64encode(vector.tobytes()).decode()
            data.append({"object": "embedding", "index": index, "embedding": encoded})
        usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        return JSONResponse({"object": "list", "data": data, "model": "scripted", "usage": usage})

    async def _models(self, request: Request) -> Response:
        model = {"id": "scripted", "object": "model", "created": 1, "owned_by": "tests"}
        return JSONResponse({"object": "list", "data": [model]})


class _Scripted(Response):
    """Sends parts with the reply's delays and faults, and notices a client that leaves."""

    def __init__(self, server: OpenAIServer, reply: Reply, parts: list[str], media_type: str) -> None:
        super().__init__(headers=reply.headers, media_type=media_type)
        del self.headers["content-length"]
        self.server, self.reply, self.parts = server, reply, parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_left(receive))
        done, pending = await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        if sending not in done:
            self.server._disconnected.set()
            return
        if sending.exception() is not None:
            # uvicorn closes the connection of an application that fails in mid-response.
            raise ConnectionAbortedError("scripted break")

    async def _send(self, send: Send) -> None:
        with self.server._counted():
            await self._send_parts(send)
        # After this the client may ask again.
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_parts(self, send: Send) -> None:
        reply = self.reply
        if reply.hang_after == 0:
            await asyncio.Event().wait()
        await asyncio.sleep(reply.delay_first)
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        for index, part in enumerate(self.parts):
            if index == reply.hang_after:
                await asyncio.Event().wait()
            if index == reply.break_after:
                raise ConnectionAbortedError
            if index == reply.garble_after:
                part = part[: len(part) // 2].rstrip() + "\n\n"
            if index:
                await asyncio.sleep(reply.delay_between)
            await send({"type": "http.response.body", "body": part.encode(), "more_body": True})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _chunks(reply: Reply, text: str, usage: dict[str, int] | None) -> list[str]:
    pieces = list(reply.pieces) if reply.pieces is not None else re.findall(r"\S+\s*|\s+", text)
    head: dict[str, Any] = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1}
    head["model"] = "scripted"

    def event(delta: dict[str, str], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return f"data: {json.dumps({**head, 'choices': [choice]}, ensure_ascii=False)}\n\n"

    events = [event({"content": piece}) for piece in pieces]
    events.append(event({}, reply.finish_reason))
    if usage is not None:
        events.append(f"data: {json.dumps({**head, 'choices': [], 'usage': usage})}\n\n")
    return [*events, "data: [DONE]\n\n"]


def _error(status: int, message: str, headers: dict[str, str], param: str | None) -> JSONResponse:
    error = {"message": message, "type": "scripted_error", "param": param, "code": None}
    return JSONResponse({"error": error}, status_code=status, headers=headers)


def _vector(text: str, dimension: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Texts that share words lie near each other; the same text always gives the same vector."""
    vector = np.full(dimension, 1e-3, dtype=np.float32)
    for word in re.findall(r"\w+", text.lower()):
        vector[int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest()) % dimension] += 1
    return (vector / np.linalg.norm(vector)).astype(np.float32)
