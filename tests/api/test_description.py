"""The OpenAPI description is whole and true; its docs page loads nothing from elsewhere."""

from __future__ import annotations

import re

import httpx2 as httpx
import pytest

from engine.api.app import PATHS, PREFIXES

pytestmark = pytest.mark.anyio

ROUTES = {
    "/api/documents": {"get", "post"},
    "/api/documents/stats/summary": {"get"},
    "/api/documents/{document_id}": {"get", "patch", "delete"},
    "/api/documents/{document_id}/restore": {"post"},
    "/api/jobs/{job_id}": {"get"},
    "/api/chat/sessions": {"get", "post"},
    "/api/chat/sessions/{session_id}": {"get", "delete"},
    "/api/chat/sessions/{session_id}/restore": {"post"},
    "/api/chat/sessions/{session_id}/messages": {"post"},
    "/api/chat/sessions/{session_id}/history": {"get"},
    "/api/chat/sessions/{session_id}/turns/{turn_id}/vote": {"put"},
    "/api/ask": {"post"},
    "/api/search": {"post"},
    "/api/rerank": {"post"},
    "/v1/models": {"get"},
    "/v1/chat/completions": {"post"},
    "/features": {"get"},
    "/health": {"get"},
    "/ready": {"get"},
}


async def test_every_route_is_described(client: httpx.AsyncClient) -> None:
    described = (await client.get("/api/openapi.json")).json()
    assert {path: {*methods} for path, methods in described["paths"].items()} == ROUTES
    assert all(path.startswith(PREFIXES) or path in PATHS for path in ROUTES)


async def test_the_docs_page_loads_from_here_alone(client: httpx.AsyncClient) -> None:
    page = await client.get("/api/docs")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) == 4
    for address in loaded:
        assert address.startswith("/api/docs/")
        assert (await client.get(address)).status_code == 200
    assert "validatorUrl: null" in (await client.get("/api/docs/start.js")).text
