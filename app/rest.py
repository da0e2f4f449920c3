"""The REST API beside the pages."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from engine.api import Api


class RestRoutes:
    """Hands the API its paths before Streamlit sees them.

    As a route it would pass through Streamlit's cookies and compression, and unknown paths
    would be answered with a page.
    """

    def __init__(self, app: ASGIApp, api: Api) -> None:
        self._app = app
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        mine = scope["type"] == "http" and self._api.serves(scope["path"])
        await (self._api if mine else self._app)(scope, receive, send)
