"""The scripts of our own that every page carries, and where browsers get them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

STATIC = Path(__file__).resolve().parent / "static"

_SCRIPTS = {name: (STATIC / name).read_bytes() for name in ("page.js", "chat.js")}
_VERSION = hashlib.sha256(b"".join(_SCRIPTS.values())).hexdigest()[:12]
_HEADERS = {"Cache-Control": "public, max-age=31536000, immutable"}  # another version has another address

TAGS = "".join(f'<script src="/scripts/{_VERSION}/{name}"></script>' for name in _SCRIPTS)
"""HTML that loads them; they may come more than once."""


def script_routes() -> list[Route]:
    """Where `TAGS` points to."""

    async def script(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _SCRIPTS:
            return Response(status_code=404)
        return Response(_SCRIPTS[name], media_type="text/javascript", headers=_HEADERS)

    return [Route(f"/scripts/{_VERSION}/{{name}}", script)]
