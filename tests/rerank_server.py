"""A local server with a `/rerank`, in TEI's form or in that of Infinity, vLLM, Jina and Cohere.

It checks what it is asked as those servers do, and gives passage n ("Passage n of …") the logit
n - 5, or its probability. Scripted answers take the place of that.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .local_server import LocalServer

MOST_PASSAGES = 32  # a request


@dataclass(frozen=True)
class Scripted:
    """One answer. body: sent as it is, instead of scores. hang: no answer at all."""

    status: int = 200
    body: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False


@dataclass(frozen=True)
class Asked:
    """A request as it arrived. at: seconds on the monotonic clock."""

    body: dict[str, Any]
    headers: dict[str, str]
    at: float


class RerankServer(LocalServer):
    """form: which one it speaks. key: that it wants, if any. logits: instead of probabilities.

    always: the answer to every request that no script answers; None scores.
    """

    def __init__(self) -> None:
        self.reset()
        super().__init__([Route("/rerank", self._rerank, methods=["POST"])])

    def reset(self) -> None:
        """As it was in the beginning."""
        self.form: Literal["tei", "jina"] = "tei"
        self.key = ""
        self.logits = False
        self.always: Scripted | None = None
        self.asked: list[Asked] = []
        self._scripted: deque[Scripted] = deque()
        self._left = threading.Event()
        self._arrived = threading.Event()

    def script(self, *answers: Scripted) -> None:
        """Queue answers for the next requests, and forget what was asked before."""
        self._scripted = deque(answers)
        self.asked.clear()
        self._left.clear()
        self._arrived.clear()

    async def arrived(self, timeout: float = 2.0) -> bool:
        """Wait until a request has come since `script`."""
        return await asyncio.to_thread(self._arrived.wait, timeout)

    async def left(self, timeout: float = 2.0) -> bool:
        """Wait until a client has left without its answer."""
        return await asyncio.to_thread(self._left.wait, timeout)

    async def _rerank(self, request: Request) -> Response:
        body = json.loads(await request.body())
        self.asked.append(Asked(body, dict(request.headers), time.monotonic()))
        self._arrived.set()
        scripted = self._scripted.popleft() if self._scripted else self.always
        if scripted is not None and scripted.hang:
            while not await request.is_disconnected():
                await asyncio.sleep(0.01)
            self._left.set()
        if scripted is not None and (scripted.status != 200 or scripted.body is not None):
            body_sent = scripted.body or '{"error": "scripted"}'
            return Response(body_sent, scripted.status, scripted.headers, "application/json")
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return JSONResponse({"error": "no"}, 401)
        return self._as_tei(body) if self.form == "tei" else self._as_jina(body)

    def _as_tei(self, body: dict[str, Any]) -> Response:
        texts = body.get("texts")
        if not texts or not body.get("query"):
            return JSONResponse({"error": "missing field `texts`", "error_type": "Validation"}, 422)
        if len(texts) > MOST_PASSAGES:
            return JSONResponse({"error": "batch size is too large", "error_type": "Validation"}, 422)
        if any(len(text) > 8_192 for text in texts) and not body.get("truncate"):
            return JSONResponse({"error": "too many tokens", "error_type": "Validation"}, 413)
        scores = [_score(text, self.logits or bool(body.get("raw_scores"))) for text in texts]
        ranked = sorted(range(len(texts)), key=lambda i: -scores[i])
        return JSONResponse([{"index": i, "score": scores[i]} for i in ranked])

    def _as_jina(self, body: dict[str, Any]) -> Response:
        documents = body.get("documents")
        if not documents or "query" not in body:
            return JSONResponse({"detail": [{"loc": ["body", "documents"], "msg": "Field required"}]}, 422)
        scores = [_score(text, self.logits) for text in documents]
        ranked = sorted(range(len(documents)), key=lambda i: -scores[i])[: body.get("top_n")]
        results = [{"index": i, "relevance_score": scores[i]} for i in ranked]
        return JSONResponse({"model": body.get("model"), "results": results})


def _score(text: str, logits: bool) -> float:
    found = re.search(r"Passage (\d+)", text)
    logit = int(found[1]) - 5.0 if found else -8.0
    return logit if logits else 1 / (1 + math.exp(-logit))
