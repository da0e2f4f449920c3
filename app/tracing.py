"""Requests of programs as the first span of the question that they ask."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.observability.trace import origin

_TRACED = ("/api/", "/v1/")


class TracedRoutes:
    """Takes the caller's `traceparent` (W3C trace context) over."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(_TRACED):
            await self._app(scope, receive, send)
            return
        name = f"{scope['method']} {scope['path']}"
        with origin(name, traceparent=Headers(scope=scope).get("traceparent", "")):
            await self._app(scope, receive, send)
