"""What is answered before Streamlit sees it."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send


class Ahead:
    """Hands another application its paths. serves: whether a path is one of them.

    As routes they would pass through Streamlit's cookies and compression, and unknown paths
    would be answered with a page.
    """

    def __init__(self, app: ASGIApp, other: ASGIApp, serves: Callable[[str], bool]) -> None:
        self._app = app
        self._other = other
        self._serves = serves

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        mine = scope["type"] == "http" and self._serves(scope["path"])
        await (self._other if mine else self._app)(scope, receive, send)
