"""What is refused, how it is told, and that nothing in it is a secret."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx2 as httpx
import pytest

from engine.access.principal import SYSTEM, acting
from engine.engine import Engine
from engine.storage.embedded import embedded_postgres
from tests.conftest import ROOT, OpenEngine
from tests.openai_server import OpenAIServer, Reply

from .conftest import QUESTION, serving, stock

pytestmark = pytest.mark.anyio

NOBODYS = "bfca33e0-4825-4791-868b-b43e560c5731"
_TELLTALE = re.compile(
    rf"{ROOT}|/(tmp|root|home|usr|var)/|SELECT|INSERT|sqlalchemy|asyncpg|Traceback|sk-secret", re.I
)


def problem(response: httpx.Response, status: int, kind: str) -> dict[str, object]:
    """The problem details of a response, which must be whole and tell nothing of the inside."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    assert (told["status"], told["type"]) == (status, f"urn:dossier:problem:{kind}")
    assert told["request_id"] == response.headers["x-request-id"]
    assert told["detail"] and told["title"]
    assert not _TELLTALE.search(response.text), response.text
    return told


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/documents/999999"),
        ("DELETE", "/api/documents/999999"),
        ("PATCH", "/api/documents/999999"),
        ("POST", "/api/documents/999999/restore"),
        ("GET", f"/api/jobs/{NOBODYS}"),
        ("GET", f"/api/chat/sessions/{NOBODYS}"),
        ("GET", f"/api/chat/sessions/{NOBODYS}/history"),
        ("DELETE", f"/api/chat/sessions/{NOBODYS}"),
        ("GET", "/api"),
        ("GET", "/api/"),
        ("GET", "/api/nothing/here"),
        ("GET", "/v1/nothing"),
        ("GET", "/api/docs/nothing"),
    ],
)
async def test_what_is_not_there(client: httpx.AsyncClient, method: str, path: str) -> None:
    problem(await client.request(method, path, json={} if method == "PATCH" else None), 404, "not-found")


async def test_an_unknown_session_is_found_out_before_anything_is_done(client: httpx.AsyncClient) -> None:
    asked = {"question": QUESTION}
    for headers in ({}, {"Accept": "text/event-stream"}):
        address = f"/api/chat/sessions/{uuid4()}/messages"
        problem(await client.post(address, json=asked, headers=headers), 404, "not-found")
    problem(await client.post("/api/ask", json=asked | {"session_id": str(uuid4())}), 404, "not-found")


@pytest.mark.parametrize("body", [b"{", b"", b"\xff\xfe", b'{"question": "a",}', b"[" * 100_000])
async def test_what_is_no_json(client: httpx.AsyncClient, body: bytes) -> None:
    refused = await client.post("/api/ask", content=body, headers={"Content-Type": "application/json"})
    if body:
        problem(refused, 400, "malformed")
    else:
        problem(refused, 422, "invalid")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/body/question"),
        ({"question": 7}, "/body/question"),
        ({"question": "What?", "mood": "fast"}, "/body/mood"),
        ({"question": "What?", "mode": "quick"}, "/body/mode"),
        ({"question": "What?", "filter": {"document_ids": [2**40]}}, "/body/filter/document_ids/0"),
        ({"question": "What?", "filter": {"text": "a\0b"}}, "/body/filter/text"),
        ({"question": "What?", "session_id": "1"}, "/body/session_id"),
        ([], "/body"),
    ],
)
async def test_json_that_does_not_fit_is_told_where(
    client: httpx.AsyncClient, body: object, pointer: str
) -> None:
    told = problem(await client.post("/api/ask", json=body), 422, "invalid")
    assert told["errors"][0]["pointer"] == pointer  # type: ignore[index]


@pytest.mark.parametrize("question", ["", "  ", "?!", "a" * 4001, "\u200b"])
async def test_what_is_no_question(client: httpx.AsyncClient, question: str) -> None:
    problem(await client.post("/api/ask", json={"question": question}), 422, "invalid")


async def test_a_method_that_is_not_taken_is_told_which_are(client: httpx.AsyncClient) -> None:
    refused = await client.put("/api/documents/1")
    problem(refused, 405, "method-not-allowed")
    assert refused.headers["allow"] == "GET, PATCH, DELETE"


async def test_other_media_types_are_not_taken(client: httpx.AsyncClient) -> None:
    # What a form of a foreign page can send without being asked: none of it is taken for JSON.
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        sent = await client.post(
            "/api/ask", content=b'{"question": "What?"}', headers={"Content-Type": kind} if kind else {}
        )
        problem(sent, 415, "media-type")


async def test_pages_of_other_sites_may_change_nothing(client: httpx.AsyncClient) -> None:
    own = f"http://{client.base_url.netloc.decode()}"
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        for method, path in (("POST", "/api/chat/sessions"), ("DELETE", "/api/documents/1")):
            sent = await client.request(method, path, json={}, headers=headers)
            problem(sent, 403, "foreign-origin")
    assert (await client.post("/api/chat/sessions", json={}, headers={"Origin": own})).status_code == 201
    # Reading is harmless: without CORS headers the other page never sees it.
    read = await client.get("/api/documents", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in read.headers


async def test_too_much_is_refused_as_soon_as_it_is_known(open_test_engine: OpenEngine) -> None:
    async with open_test_engine(max_upload_bytes=300_000) as engine, serving(engine) as client:
        files = {"files": ("a.txt", b"word " * 100_000)}
        problem(await client.post("/api/documents", files=files), 413, "too-large")

        sent = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal sent
            yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\n'
            while sent < 50_000_000:
                sent += 50_000
                yield b"x" * 50_000

        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        with contextlib.suppress(httpx.NetworkError):  # closed while the client was still sending
            problem(await client.post("/api/documents", content=endless(), headers=headers), 413, "too-large")
        assert sent < 50_000_000
        assert await engine.documents.count() == 0
        problem(await client.post("/api/ask", json={"question": "a" * 500_000}), 413, "too-large")
        assert (await client.get("/health")).status_code == 200


async def test_too_many_requests_are_told_when_to_come_back(open_test_engine: OpenEngine) -> None:
    limited = open_test_engine(rate_limit_enabled=True, rate_limit_requests_per_minute=3)
    async with limited as engine, serving(engine) as client:
        for _ in range(3):
            assert (await client.get("/features")).status_code == 200
        refused = await client.get("/features")
        problem(refused, 429, "too-many-requests")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        for path in ("/health", "/ready"):  # whoever looks after the process is never refused
            assert {(await client.get(path)).status_code for _ in range(6)} == {200}


async def test_more_than_can_be_served_at_once_is_told_to_wait(
    open_test_engine: OpenEngine, language_model: OpenAIServer
) -> None:
    language_model.script(Reply("Slowly [1].", delay_first=1.0))
    narrow = open_test_engine(
        openai_api_key="k", openai_base_url=language_model.url, max_requests_in_flight=1
    )
    async with narrow as engine, serving(engine) as client:
        await stock(engine)
        first = asyncio.create_task(client.post("/api/ask", json={"question": QUESTION}))
        assert await language_model.arrived()
        refused = await client.get("/features")
        problem(refused, 503, "busy")
        assert refused.headers["retry-after"] == "1"
        assert (await client.get("/health")).status_code == 200
        assert (await first).status_code == 200
        assert (await client.get("/features")).status_code == 200


async def test_what_takes_too_long_ends(open_test_engine: OpenEngine, language_model: OpenAIServer) -> None:
    slow = open_test_engine(
        openai_api_key="k", openai_base_url=language_model.url, request_timeout_seconds=0.5
    )
    async with slow as engine, serving(engine) as client:
        await stock(engine)
        await client.post("/api/search", json={"question": QUESTION})
        language_model.script(Reply("Never [1].", hang_after=0))
        began = time.monotonic()
        problem(await client.post("/api/ask", json={"question": QUESTION}), 504, "timeout")
        assert await language_model.disconnected()
        assert time.monotonic() - began < 5
        # In the middle of a stream it is the last event.
        session = (await client.post("/api/chat/sessions", json={})).headers["location"]
        language_model.script(Reply("Never [1].", hang_after=1))
        streamed = await client.post(
            f"{session}/messages", json={"question": QUESTION}, headers={"Accept": "text/event-stream"}
        )
        assert streamed.status_code == 200
        assert streamed.text.rsplit("event: ", 1)[1].startswith(
            'error\ndata: {"type":"urn:dossier:problem:timeout"'
        )
        assert engine.database.pool_status().in_use == 0


async def test_with_access_control_a_key_is_asked_for(open_test_engine: OpenEngine) -> None:
    async with open_test_engine(access_control=True) as engine, serving(engine) as client:
        with acting(SYSTEM):
            await engine.entrance.accounts.add("program", "reader")
            key = await engine.entrance.keys.create("program", "tests")
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {key}"}):
            refused = await client.get("/api/documents", headers=headers)
            problem(refused, 401, "unauthorised")
            assert refused.headers["www-authenticate"] == "Bearer"
        allowed = await client.get("/api/documents", headers={"Authorization": f"Bearer {key}"})
        assert allowed.status_code == 200
        assert (await client.get("/health")).status_code == 200


async def test_without_its_database_it_lives_but_is_not_ready(open_test_engine: OpenEngine, tmp_path) -> None:  # type: ignore[no-untyped-def]
    own = embedded_postgres(tmp_path / "postgres")
    url = await own.__aenter__()
    async with open_test_engine(database_url=url) as engine, serving(engine) as client:
        ready = await client.get("/ready")
        assert (ready.status_code, ready.json()["status"]) == (200, "ready")
        await own.__aexit__(None, None, None)
        gone = await client.get("/ready")
        assert (gone.status_code, gone.json()["status"]) == (503, "not ready")
        assert gone.json()["dependencies"][0]["state"] == "down"
        assert not _TELLTALE.search(gone.text)
        assert (await client.get("/health")).json() == {"status": "ok"}
        refused = await client.get("/api/documents")
        problem(refused, 503, "unavailable")
        assert int(refused.headers["retry-after"]) > 0


async def test_what_runs_with_less_than_was_asked_for_is_ready_and_says_so(
    open_test_engine: OpenEngine,
) -> None:
    degraded = open_test_engine(enable_redis_cache=True, redis_url="redis://127.0.0.1:1/0")
    async with degraded as engine, serving(engine) as client:
        told = await client.get("/ready")
        assert (told.status_code, told.json()["status"]) == (200, "degraded")
        redis = next(d for d in told.json()["dependencies"] if d["name"] == "L2 cache")
        assert redis["state"] == "degraded" and "Redis" in redis["why"]


async def test_one_that_is_about_to_stop_is_not_ready(quoting: Engine, client: httpx.AsyncClient) -> None:
    quoting.drain.begin()
    try:
        assert (await client.get("/ready")).status_code == 503
        assert (await client.get("/health")).status_code == 200
    finally:
        quoting.drain.end()


async def test_a_fault_is_told_without_its_inside(
    quoting: Engine, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> None:
        raise RuntimeError("SELECT secret FROM /srv/dossier")

    monkeypatch.setattr(quoting.documents, "statistics", broken)
    problem(await client.get("/api/documents/stats/summary"), 500, "fault")


async def test_a_request_id_of_the_callers_own_is_kept(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health", headers={"X-Request-ID": "mine-1"})).headers[
        "x-request-id"
    ] == "mine-1"
    odd = (await client.get("/health", headers={"X-Request-ID": "a b"})).headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{32}", odd)
