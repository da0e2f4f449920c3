"""Signing in through an identity provider (OIDC): Streamlit's `st.login`, and what becomes of its word.

Streamlit speaks with the provider and checks the ID token. Its own cookie would let somebody in for
30 days, signed out or not; so at its callback the word is taken once and exchanged for a sign-in of
ours, which ends when it is to end. The routes are Streamlit's; what they answer is read here.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import quote, unquote

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.auth_util import (
    get_cookie_with_chunks,
    get_secrets_auth_section,
    is_authlib_installed,
    validate_auth_credentials,
)
from streamlit.errors import StreamlitAuthError
from streamlit.user_info import generate_login_redirect_url
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from app.sign_in_form import enter, form, onward
from engine import Engine
from engine.access.provided import Provided
from engine.errors import DossierError

log = logging.getLogger(__name__)

ASKING, COMING_BACK, LEAVING = "/auth/login", "/oauth2callback", "/auth/logout"
USER = USER_COOKIE_NAME
_ONWARD = "dossier-onward"
_DOWN = "Your organisation's sign-in does not answer. Try again in a moment, or sign in with a password."
_FAILED = (
    "Signing in through your organisation did not work. Try again; if it stays, the server's log says why."
)
_DENIED = "Your organisation did not let you in. Ask there, or sign in with a password."
_WRONG = "Signing in through your organisation is not set up rightly; the server's log says why."


def providers() -> dict[str, str]:
    """Names in `.streamlit/secrets.toml`, with what is written on the way to each; none without `[auth]`."""
    section = get_secrets_auth_section()
    named = [name for name, value in section.items() if isinstance(value, Mapping) and "client_id" in value]
    found = {name: f"Sign in through {name.capitalize()}" for name in named}
    return ({"default": "Sign in through your organisation"} if "client_id" in section else {}) | found


async def ask_provider(request: Request) -> Response:
    """`/sign-in/with/NAME`: on to the provider, remembering where the browser wanted to go."""
    wanted = onward(request.query_params.get("next", ""))
    name = request.path_params["provider"]
    try:
        if not is_authlib_installed():
            raise StreamlitAuthError("The package Authlib is missing; `pip install -r requirements.txt`.")
        validate_auth_credentials(name)
    except StreamlitAuthError as error:
        log.error("The identity provider %r cannot be asked: %s", name, " ".join(str(error).split()))
        return form(providers(), wanted, _WRONG, 503)
    response = RedirectResponse(generate_login_redirect_url(name), 303, {"Cache-Control": "no-store"})
    secure = request.url.scheme == "https"
    response.set_cookie(_ONWARD, quote(wanted), max_age=600, httponly=True, samesite="lax", secure=secure)
    return response


class ProvidersWord:
    """Stands before Streamlit's routes for identity providers; without access control it lets all through."""

    def __init__(self, app: ASGIApp, engine: Callable[[], Engine]) -> None:
        self._app = app
        self._engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        asked = scope["type"] == "http" and scope["path"] in (ASKING, COMING_BACK)
        if not asked or not self._engine().access.on:
            await self._app(scope, receive, send)
            return
        answered: list[Message] = []

        async def keep(message: Message) -> None:
            answered.append(message)

        await self._app(scope, receive, keep)
        request = Request(scope)
        instead = await self._instead(request, Headers(raw=answered[0]["headers"]), answered[0]["status"])
        if instead is None:
            for message in answered:
                await send(message)
            return
        instead.raw_headers += [pair for pair in answered[0]["headers"] if pair[0].lower() == b"set-cookie"]
        await instead(scope, receive, send)

    async def _instead(self, request: Request, headers: Headers, status: int) -> Response | None:
        """What the browser gets in place of Streamlit's answer."""
        wanted = onward(unquote(request.cookies.get(_ONWARD, "")))
        if request.url.path == ASKING:
            return form(providers(), wanted, _DOWN, 503) if status >= 400 else None
        if request.query_params.get("error"):
            return form(providers(), wanted, _DENIED, 401)
        if "code" not in request.query_params:  # back from signing out
            return RedirectResponse("/sign-in", 303)
        if (word := _word(headers.getlist("set-cookie"))) is None:
            return form(providers(), wanted, _FAILED, 401)
        try:
            token = await self._engine().entrance.sign_ins.sign_in_provided(word)
        except DossierError as error:
            told = f"{error.message} {error.hint}".strip()
            return form(providers(), wanted, told, 403)
        return enter(request, wanted, token, self._engine().settings.sign_in_seconds)


def _word(set_cookies: list[str]) -> Provided | None:
    """What the ID token said, of the cookies that Streamlit is about to set; None where it refused it."""
    cookies: dict[str, str] = {}
    for one in set_cookies:
        cookies |= {name: morsel.value for name, morsel in SimpleCookie(one).items() if morsel.value}

    def signed(name: str) -> bytes | None:
        return decode_signed_value(get_cookie_secret(), name, cookies[name]) if name in cookies else None

    found = get_cookie_with_chunks(signed, USER)
    claims: dict[str, Any] = json.loads(found) if found else {}
    if not claims.get("iss") or not claims.get("sub"):
        return None
    return Provided(
        subject=f"{claims['iss']}|{claims['sub']}",
        name=str(claims.get("preferred_username") or claims.get("email") or claims.get("name") or ""),
        email=str(claims.get("email") or ""),
        email_verified=claims.get("email_verified") is True,
    )
