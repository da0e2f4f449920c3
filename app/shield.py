"""What holds for every connection: the names that are answered to, and what browsers may do with answers.

The content security policy allows the scripts of Streamlit's own files and of ours, and by its hash
the one inline script of its page; whatever else a document or an answer could
bring into a page is not run, and nothing is loaded from, or sent to, another host.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

import streamlit
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.api.guard import OPEN_PATHS
from engine.api.problems import Problem

_INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_UNKNOWN_NAME = Problem(
    421,
    "unknown-host",
    "This server does not answer to that name.",
    hint="Use its address, or name it in ALLOWED_HOSTS.",
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_FILE_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
_FILES = ("/media/", "/api/", "/v1/")


def _headers(policy: str) -> list[tuple[bytes, bytes]]:
    """As ASGI has them."""
    named = {"Content-Security-Policy": policy, **_HEADERS}
    return [(name.lower().encode(), value.encode()) for name, value in named.items()]


_FILE_HEADERS = _headers(_FILE_POLICY)


def page_policy() -> str:
    """The pages' content security policy (CSP level 3)."""
    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text()
    hashes = " ".join(_hashed(script) for script in _INLINE.findall(page))
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' {hashes}",
            "style-src 'self' 'unsafe-inline'",  # Streamlit writes its styles as it draws
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "media-src 'self' blob:",
            "worker-src 'self' blob:",
            "connect-src 'self'",
            "object-src 'none'",
            "frame-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'self'",
            "form-action 'self'",
        )
    )


def _hashed(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"'sha256-{digest}'"


class Shield:
    """ASGI middleware around everything. allowed: asked for ALLOWED_HOSTS at the first request.

    A page of another site can have its own name lead to this machine (DNS rebinding) and would
    then count as a page of ours; so names are answered to only where they are known. Addresses
    are safe: a browser that asks for one has not been led here by a name.
    """

    def __init__(self, app: ASGIApp, allowed: Callable[[], str]) -> None:
        self._app = app
        self._allowed = allowed
        self._names: tuple[str, ...] | None = None
        self._headers = _headers(page_policy())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or one websocket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        known = scope["path"] in OPEN_PATHS or self._answers_to(host)
        if scope["type"] == "websocket":
            known = known and self._is_own_page(headers.get("origin"), host)
        if not known:
            await _refuse(scope, receive, self._with_headers(scope, send))
        elif scope["type"] == "http":
            await self._app(scope, receive, self._with_headers(scope, send))
        else:
            await self._app(scope, receive, send)

    def _answers_to(self, host: str) -> bool:
        if self._names is None:
            self._names = tuple(name.strip().lower() for name in self._allowed().split(",") if name.strip())
        return not host or is_known_host(host, self._names)

    def _is_own_page(self, origin: str | None, host: str) -> bool:
        """Streamlit takes a page of any port of this machine for its own; that may be anybody's."""
        if origin is None:  # no browser
            return True
        parts = urlsplit(origin)
        return parts.netloc == host or _is_named(parts.hostname or "", self._names or ())

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        headers = _FILE_HEADERS if scope["path"].startswith(_FILES) else self._headers

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                ours = (pair for pair in headers if pair[0] not in given)
                message = {**message, "headers": [*message["headers"], *ours]}
            await send(message)

        return sent


@lru_cache(1000)
def is_known_host(host: str, names: tuple[str, ...]) -> bool:
    """Whether a Host header is an address, localhost, or one of `names` (`*.example.org` and `*` count)."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises for what is no number
        name = (parts.hostname or "").rstrip(".")
    except ValueError:
        return False
    if not name or parts.netloc != host or parts.username is not None:
        return False
    if name == "localhost" or name.endswith(".localhost") or _is_address(name):
        return True
    return _is_named(name, names)


def _is_named(name: str, names: Iterable[str]) -> bool:
    return any(
        known == "*" or name == known or (known.startswith("*.") and name.endswith(known[1:]))
        for known in names
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": _UNKNOWN_NAME.title})
    elif scope["path"].startswith(("/api", "/v1")):
        await _UNKNOWN_NAME.response(scope["path"], "")(scope, receive, send)
    else:
        told = f"{_UNKNOWN_NAME.title} {_UNKNOWN_NAME.hint}"
        await PlainTextResponse(told, _UNKNOWN_NAME.status)(scope, receive, send)
