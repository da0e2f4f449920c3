"""A local identity provider: OpenID Connect's code flow with PKCE, over HTTP, with real signed tokens."""

from __future__ import annotations

import base64
import hashlib
import html
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.local_server import LocalServer

CLIENT_ID, CLIENT_SECRET = "dossier", "a secret of the client"


class OIDCServer(LocalServer):
    """people: claims by the name under which somebody signs in; its form has a button for each.

    forges: signs with a key that is not in its key set. signed_out: how often somebody left through it.
    """

    def __init__(self, people: Mapping[str, Mapping[str, Any]]) -> None:
        self.people = people
        self.forges = False
        self.signed_out = 0
        self._key, self._other = (RSAKey.generate_key(2048, {"kid": "one"}) for _ in range(2))
        self._codes: dict[str, dict[str, str]] = {}
        super().__init__(
            [
                Route("/.well-known/openid-configuration", self._configuration),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/keys", self._keys),
                Route("/userinfo", self._userinfo),
                Route("/logout", self._logout),
            ]
        )

    async def _configuration(self, request: Request) -> Response:
        paths = {
            "authorization_endpoint": "authorize",
            "token_endpoint": "token",
            "jwks_uri": "keys",
            "userinfo_endpoint": "userinfo",
            "end_session_endpoint": "logout",
        }
        return JSONResponse(
            {
                "issuer": self.address,
                **{name: f"{self.address}/{path}" for name, path in paths.items()},
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    async def _authorize(self, request: Request) -> Response:
        """Asks who it is; a click is the password."""
        given = dict(request.query_params)
        assert given["client_id"] == CLIENT_ID and given["code_challenge_method"] == "S256"
        if (person := given.pop("person", None)) is None:
            buttons = "".join(
                f'<p><a href="/authorize?{html.escape(urlencode(given | {"person": name}))}">{name}</a></p>'
                for name in (*self.people, "nobody")
            )
            return HTMLResponse(f"<!doctype html><title>Provider</title><h1>Who are you?</h1>{buttons}")
        back = {"state": given["state"]}
        if person == "nobody":
            back["error"] = "access_denied"
        else:
            back["code"] = secrets.token_urlsafe()
            self._codes[back["code"]] = given | {"person": person}
        return RedirectResponse(f"{given['redirect_uri']}?{urlencode(back)}", 302)

    async def _token(self, request: Request) -> Response:
        form = await request.form()
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        known = self._codes.pop(str(form["code"]), None)
        verifier = hashlib.sha256(str(form.get("code_verifier", "")).encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).decode().rstrip("=")
        if request.headers.get("authorization") != f"Basic {basic}":
            return JSONResponse({"error": "invalid_client"}, 401)
        if (
            known is None
            or known["redirect_uri"] != form["redirect_uri"]
            or known["code_challenge"] != challenge
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": self.address,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": known["nonce"],
            **self.people[known["person"]],
        }
        key = self._other if self.forges else self._key
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, claims, key)
        return JSONResponse(
            {"access_token": known["person"], "token_type": "Bearer", "expires_in": 300, "id_token": signed}
        )

    async def _keys(self, request: Request) -> Response:
        return JSONResponse({"keys": [self._key.as_dict(private=False)]})

    async def _userinfo(self, request: Request) -> Response:
        return JSONResponse(self.people[request.headers["authorization"].removeprefix("Bearer ")])

    async def _logout(self, request: Request) -> Response:
        assert request.query_params["client_id"] == CLIENT_ID and request.query_params["id_token_hint"]
        self.signed_out += 1
        return RedirectResponse(request.query_params["post_logout_redirect_uri"], 302)
