"""Without access control Dossier serves this machine only, unless it is told otherwise by name.

Refused twice: at start, where it is known what will be listened on, and for each connection by
the address that it came to, whatever server or proxy it came through.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import lru_cache

import psutil
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from engine import Settings

TOLD = (
    "Without access control Dossier serves this machine only. Set ACCESS_CONTROL=true and add accounts"
    " (`python -m engine accounts add NAME --role admin`), or listen on 127.0.0.1. To serve everybody who"
    " can reach it, say so: LISTEN_WITHOUT_ACCESS_CONTROL=true."
)


class LocalOnly:
    """settings: asked once the server starts, or at the first request."""

    def __init__(self, app: ASGIApp, settings: Callable[[], Settings]) -> None:
        self._app = app
        self._settings = settings
        self._open: bool | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request, a websocket, or the server's start."""
        if scope["type"] == "lifespan":
            if not self._may_be_open() and (places := _listening(receive)):
                await receive()
                told = f"It would listen on {', '.join(places)}. {TOLD}"
                await send({"type": "lifespan.startup.failed", "message": told})
                return
        elif not self._may_be_open() and any(
            _elsewhere(place[0]) for place in (scope.get("server"), scope.get("client")) if place
        ):
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1008})
            else:
                await PlainTextResponse(TOLD, 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _may_be_open(self) -> bool:
        if self._open is None:
            settings = self._settings()
            self._open = settings.access_control or settings.listen_without_access_control
        return self._open


def _listening(receive: Receive) -> list[str]:
    """Addresses other machines reach: those bound already, and the one that uvicorn is about to bind."""
    places = set()
    config = getattr(getattr(receive, "__self__", None), "config", None)
    if config is not None and config.uds is None and config.fd is None:
        places.add(str(config.host))
    try:
        own = psutil.Process().net_connections("inet")
    except psutil.Error:
        own = []
    places |= {one.laddr.ip for one in own if one.status == psutil.CONN_LISTEN}
    return sorted(place for place in places if _elsewhere(place))


@lru_cache(1000)
def _elsewhere(host: str) -> bool:
    """Whether an address is not this machine's own. A name is one that no server of ours reports."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == ""
    mapped = getattr(address, "ipv4_mapped", None)
    return not (mapped or address).is_loopback
