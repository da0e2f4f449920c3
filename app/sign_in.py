"""Signing in with a password, and out again: plain forms, since a page of Streamlit's sets no cookie."""

from __future__ import annotations

import html
from collections.abc import Callable
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.visitor import COOKIE, provider_is_set_up
from engine import Engine
from engine.access.rates import RateLimit, sender
from engine.api.guard import foreign
from engine.errors import DossierError, NotSignedIn

TRIES_A_MINUTE = 20  # from one address
FORM_BYTES = 10_000
WITH_PROVIDER = "with-provider"
_PROVIDERS_COOKIE = "_streamlit_user"
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>{title} · Dossier</title><style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 0; }}
body {{ display: grid; place-items: center; min-height: 90vh; }}
main {{ width: min(22rem, 90vw); }} h1 {{ font-size: 1.4rem; }}
label {{ display: block; margin: .8rem 0 .2rem; }}
input, button {{ font: inherit; width: 100%; box-sizing: border-box; padding: .5rem; border-radius: .5rem; }}
input {{ border: 1px solid #8889; }}
button {{ margin-top: 1.2rem; border: 0; background: #1f6f78; color: #fff; cursor: pointer; }}
[role=alert] {{ border-left: 3px solid #b3261e; padding-left: .7rem; }} a {{ color: #1f8a96; }}
</style></head><body><main><h1>{title}</h1>{body}</main></body></html>"""


def sign_in_routes(engine: Callable[[], Engine]) -> list[Route]:
    """`/sign-in` and `/sign-out`."""
    rate = RateLimit(TRIES_A_MINUTE)

    async def sign_in(request: Request) -> Response:
        onward = _onward(request.query_params.get("next", ""))
        if not engine().access.on:
            return RedirectResponse("/", 303)
        if request.method == "GET":
            return _form(onward)
        if foreign(request.headers) or int(request.headers.get("content-length") or FORM_BYTES) >= FORM_BYTES:
            return _form(onward, "That form is not from here. Try again.", 403)
        if wait := await rate.hit(sender(request.scope.get("client"))):
            return _form(onward, f"Too many tries. Wait {wait} seconds.", 429)
        form = await request.form(max_files=0, max_fields=5)
        name, password = (str(form.get(field, "")) for field in ("name", "password"))
        try:
            token = await engine().entrance.sign_ins.sign_in(name, password)
        except DossierError as error:
            return _form(onward, str(error), 401 if isinstance(error, NotSignedIn) else 503)
        response = RedirectResponse(onward, 303, _HEADERS)
        response.set_cookie(
            COOKIE,
            token,
            max_age=engine().settings.sign_in_seconds,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
        return response

    async def sign_out(request: Request) -> Response:
        # A link on another's page must not sign anybody out.
        if foreign(request.headers) or request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            body = '<form method="post" action="/sign-out"><button>Sign out</button></form>'
            return HTMLResponse(_PAGE.format(title="Sign out?", body=body), headers=_HEADERS)
        if token := request.cookies.get(COOKIE):
            await engine().entrance.sign_ins.sign_out(token)
        response = RedirectResponse("/sign-in", 303, _HEADERS)
        response.delete_cookie(COOKIE, httponly=True, samesite="lax")
        return response

    return [
        Route("/sign-in", sign_in, methods=["GET", "POST"]),
        Route("/sign-out", sign_out, methods=["GET", "POST"]),
    ]


class SignInFirst:
    """Sends browsers that bring nothing to the form. What they bring is looked at by the engine."""

    def __init__(self, app: ASGIApp, engine: Callable[[], Engine]) -> None:
        self._app = app
        self._engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http" and scope["method"] == "GET" and self._is_page(scope):
            cookies = Request(scope).cookies
            asks_provider = WITH_PROVIDER in scope["query_string"].decode("latin-1")
            if not asks_provider and COOKIE not in cookies and _PROVIDERS_COOKIE not in cookies:
                target = scope["path"] + (
                    f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
                )
                await RedirectResponse(f"/sign-in?next={quote(target, safe='')}", 303, _HEADERS)(
                    scope, receive, send
                )
                return
        await self._app(scope, receive, send)

    def _is_page(self, scope: Scope) -> bool:
        path: str = scope["path"]
        if "text/html" not in Headers(scope=scope).get("accept", "") or path.startswith(
            ("/sign-", "/_stcore", "/auth/", "/oauth2callback", "/static/", "/media/", "/component/")
        ):
            return False
        return self._engine().access.on


def _form(onward: str, alert: str = "", status: int = 200) -> Response:
    told = f'<p role="alert">{html.escape(alert)}</p>' if alert else ""
    provider = (
        f'<p><a href="/?{WITH_PROVIDER}=1">Sign in through your organisation</a></p>'
        if provider_is_set_up()
        else ""
    )
    body = (
        f'{told}<form method="post" action="/sign-in?next={quote(onward, safe="")}">'
        '<label for="name">Name</label>'
        '<input id="name" name="name" autocomplete="username" required autofocus>'
        '<label for="password">Password</label>'
        '<input id="password" name="password" type="password" autocomplete="current-password" required>'
        f"<button>Sign in</button></form>{provider}"
    )
    return HTMLResponse(_PAGE.format(title="Sign in", body=body), status, _HEADERS)


def _onward(given: str) -> str:
    """Where to go after signing in: a place here, never another site."""
    safe = given.startswith("/") and not given.startswith(("//", "/\\", "/sign-")) and given.isprintable()
    return given if safe else "/"
