"""Signing in, and out again: plain forms, since a page of Streamlit's sets no cookie."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.provider import LEAVING, USER, ask_provider, providers
from app.sign_in_form import HEADERS, PAGE, enter, form, onward
from app.visitor import COOKIE
from engine import Engine
from engine.access.rates import RateLimit, sender
from engine.api.guard import foreign
from engine.errors import DossierError, NotSignedIn

TRIES_A_MINUTE = 20  # from one address
FORM_BYTES = 10_000


def sign_in_routes(engine: Callable[[], Engine]) -> list[Route]:
    """`/sign-in`, also through a provider, and `/sign-out`."""
    rate = RateLimit(TRIES_A_MINUTE)

    async def sign_in(request: Request) -> Response:
        wanted = onward(request.query_params.get("next", ""))
        if not engine().access.on:
            return RedirectResponse("/", 303)
        if request.method == "GET":
            return form(providers(), wanted)
        if foreign(request.headers) or int(request.headers.get("content-length") or FORM_BYTES) >= FORM_BYTES:
            return form(providers(), wanted, "That form is not from here. Try again.", 403)
        if wait := await rate.hit(sender(request.scope.get("client"))):
            return form(providers(), wanted, f"Too many tries. Wait {wait} seconds.", 429)
        sent = await request.form(max_files=0, max_fields=5)
        name, password = (str(sent.get(field, "")) for field in ("name", "password"))
        try:
            token = await engine().entrance.sign_ins.sign_in(name, password)
        except DossierError as error:
            return form(providers(), wanted, str(error), 401 if isinstance(error, NotSignedIn) else 503)
        return enter(request, wanted, token, engine().settings.sign_in_seconds)

    async def sign_out(request: Request) -> Response:
        # A link on another's page must not sign anybody out.
        if foreign(request.headers) or request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            body = '<form method="post" action="/sign-out"><button>Sign out</button></form>'
            return HTMLResponse(PAGE.format(title="Sign out?", body=body), headers=HEADERS)
        if token := request.cookies.get(COOKIE):
            await engine().entrance.sign_ins.sign_out(token)
        # Whoever came through a provider leaves there too, where it knows of leaving.
        response = RedirectResponse(LEAVING if USER in request.cookies else "/sign-in", 303, HEADERS)
        response.delete_cookie(COOKIE, httponly=True, samesite="lax")
        return response

    return [
        Route("/sign-in", sign_in, methods=["GET", "POST"]),
        Route("/sign-in/with/{provider}", ask_provider),
        Route("/sign-out", sign_out, methods=["GET", "POST"]),
    ]


class SignInFirst:
    """Sends browsers that bring nothing to the form. What they bring is looked at by the engine."""

    def __init__(self, app: ASGIApp, engine: Callable[[], Engine]) -> None:
        self._app = app
        self._engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        page = scope["type"] == "http" and scope["method"] == "GET" and self._is_page(scope)
        if page and COOKIE not in Request(scope).cookies:
            query = scope["query_string"].decode("latin-1")
            target = quote(scope["path"] + (f"?{query}" if query else ""), safe="")
            await RedirectResponse(f"/sign-in?next={target}", 303, HEADERS)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_page(self, scope: Scope) -> bool:
        path: str = scope["path"]
        if "text/html" not in Headers(scope=scope).get("accept", "") or path.startswith(
            ("/sign-", "/_stcore", "/auth/", "/oauth2callback", "/static/", "/media/", "/component/")
        ):
            return False
        return self._engine().access.on
