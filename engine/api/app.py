"""The routes put together: one ASGI application, one OpenAPI description."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from engine.access.principal import Principal
from engine.api.asking import asking_routes
from engine.api.chat import SessionBody, chat_routes
from engine.api.chat_completions import completion_routes
from engine.api.direct import Direct, Way
from engine.api.docs import docs_routes
from engine.api.documents import document_routes
from engine.api.guard import Guard, Limits, key_of
from engine.api.idempotency import Idempotency
from engine.api.problems import MEDIA_TYPE, problem_of
from engine.api.shapes import AskBody, MessageBody
from engine.api.status import status_routes
from engine.engine import Engine
from engine.errors import DossierError

PREFIXES = ("/api", "/v1")
PATHS = ("/health", "/ready", "/features")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

_PROBLEM = {
    "title": "Problem",
    "description": "Problem details, RFC 9457.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "description": "A stable name: urn:dossier:problem:KIND."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "hint": {"type": "string", "description": "What to do."},
        "request_id": {"type": "string", "description": "As in the response's X-Request-ID and the log."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
_DEFAULT: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "What went wrong.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}


class Api:
    """An ASGI application; `serves` tells which paths are its own."""

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = engine
        self._limits: Limits | None = None
        self.routes, ways = _application(engine)
        self._guarded = Guard(Direct(self.routes, ways), self._limited)

    def serves(self, path: str) -> bool:
        """Whether a path belongs to the API, unknown ones below its prefixes included."""
        return path in PATHS or any(path == prefix or path.startswith(prefix + "/") for prefix in PREFIXES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        await self._guarded(scope, receive, send)

    def _limited(self) -> Limits:
        if self._limits is None:
            settings = self._engine().settings
            self._limits = Limits.of(settings, settings.max_upload_bytes, self._who)
        return self._limits

    async def _who(self, headers: Headers) -> Principal:
        return await self._engine().entrance.sign_ins.of_key(key_of(headers))


def make_api(engine: Callable[[], Engine]) -> Api:
    """The REST API over the engine that `engine()` gives once the first request comes."""
    return Api(engine)


def _application(engine: Callable[[], Engine]) -> tuple[FastAPI, dict[str, Way]]:
    """The routes, and which of them are asked so often that they are gone to directly."""
    app = FastAPI(
        title="Dossier",
        summary="Ask your own documents, get answers with evidence.",
        version="1",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=_DEFAULT,
    )
    idempotency = Idempotency(engine)
    asking, chat = asking_routes(engine, idempotency), chat_routes(engine, idempotency)
    for router in (
        asking,
        document_routes(engine, idempotency),
        chat,
        completion_routes(engine),
        status_routes(engine),
        docs_routes(),
    ):
        app.include_router(router)

    async def refuse(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.status_code == 405:
            error.headers = {"Allow": ", ".join(_allowed(app, request))}
        return problem_of(error).response(request.url.path, request.state.request_id)

    for kind in (DossierError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, refuse)
    app.openapi = lambda: _description(app)  # type: ignore[method-assign]
    messages = "/api/chat/sessions/{session_id}/messages"
    return app, {
        "/api/ask": Way(AskBody, _posted(asking, "/api/ask")),
        "/api/chat/sessions": Way(SessionBody, _posted(chat, "/api/chat/sessions")),
        messages: Way(MessageBody, _posted(chat, messages), accept=True),
    }


def _posted(router: APIRouter, path: str) -> Callable[..., Awaitable[Response]]:
    """What answers a POST there."""
    (endpoint,) = (
        route.endpoint
        for route in router.routes
        if isinstance(route, APIRoute) and route.path == path and "POST" in (route.methods or ())
    )
    return endpoint


def _allowed(app: FastAPI, request: Request) -> list[str]:
    """Methods that a path takes."""
    scope = dict(request.scope)
    return [
        method
        for method in METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in app.routes)
    ]


def _description(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        described = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        described["components"]["schemas"]["Problem"] = _PROBLEM
        app.openapi_schema = described
    return app.openapi_schema
