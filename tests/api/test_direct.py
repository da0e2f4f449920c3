"""What programs send all the time takes a shorter way, and nobody can tell."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx
import pytest

from .conftest import QUESTION

pytestmark = pytest.mark.anyio

NOBODYS = "bfca33e0-4825-4791-868b-b43e560c5731"
MESSAGES = f"/api/chat/sessions/{NOBODYS}/messages"
_OF_EACH = {"timings", "request_id", "id", "created_at", "updated_at"}

SENT = [
    ("/api/ask", b'{"question": "%s"}' % QUESTION.encode(), 200),
    ("/api/ask", b'{"question": "%s", "filter": {"tags": ["none"]}}' % QUESTION.encode(), 200),
    ("/api/ask", b'{"question": "?"}', 422),
    ("/api/ask", b'{"question": 5}', 422),
    ("/api/ask", b'{"question": "\\ud800?"}', 422),
    ("/api/ask", b'{"question": "a", "mode": "slow", "more": 1}', 422),
    ("/api/ask", b'{"question": "a", "filter": {"published_from": 0}}', 422),
    ("/api/ask", b'{"question": "a", "question": "b"}', 200),
    ("/api/ask", b'{"question": "a", "reranker": "nobody"}', 422),
    ("/api/ask", b'{"question": "a", "session_id": "%s"}' % NOBODYS.encode(), 404),
    ("/api/ask", b'{"question": NaN}', 422),
    ("/api/ask", b'\xef\xbb\xbf{"question": "a"}', 200),
    ("/api/ask", '{"question": "a"}'.encode("utf-16"), 200),
    ("/api/ask", b"", 422),
    ("/api/ask", b"null", 422),
    ("/api/chat/sessions", b"{}", 201),
    ("/api/chat/sessions", b'{"title": "\\u0000"}', 422),
    (MESSAGES, b'{"question": "a"}', 404),
    (MESSAGES, b"{", 400),
]


def _said(response: httpx.Response) -> Any:
    told = {name: value for name, value in response.json().items() if name not in _OF_EACH}
    told.pop("cache", None)
    headers = dict(response.headers)
    for name in ("date", "content-length", "x-request-id", "location"):
        headers.pop(name, None)
    return told, headers


@pytest.mark.parametrize(("path", "content", "status"), SENT)
async def test_both_ways_lead_to_the_same(
    client: httpx.AsyncClient, path: str, content: bytes, status: int
) -> None:
    await client.post(path, content=content, headers={"Content-Type": "application/json"})  # now it is cached
    straight, usual = [
        await client.post(path, content=content, headers={"Content-Type": kind})
        for kind in ("application/json", "application/json; charset=utf-8")
    ]
    assert (straight.status_code, usual.status_code) == (status, status), straight.text
    assert _said(straight) == _said(usual)
