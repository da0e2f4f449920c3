"""The same request sent twice is done once: in one process and over two."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx2 as httpx
import pytest
from sqlalchemy import func, select, update

from engine.api import idempotency
from engine.engine import Engine, open_engine
from engine.settings import Settings
from engine.storage.tables import idempotency_keys
from tests.openai_server import OpenAIServer, Reply

from .conftest import QUESTION, serving
from .test_chat import begin, events
from .test_refusals import problem

pytestmark = pytest.mark.anyio


async def test_a_session_is_begun_once(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "begin-1"}
    first, again = [
        await client.post("/api/chat/sessions", json={"title": "A"}, headers=key) for _ in range(2)
    ]
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert ("idempotency-replayed" in first.headers, "idempotency-replayed" in again.headers) == (False, True)
    other = await client.post("/api/chat/sessions", json={"title": "B"}, headers=key)
    problem(other, 422, "key-reused")


async def test_a_message_is_answered_once_and_streamed_again_as_it_was(client: httpx.AsyncClient) -> None:
    session = await begin(client)
    headers = {"Idempotency-Key": "ask-1", "Accept": "text/event-stream"}
    asked = {"question": QUESTION}
    first, again = [await client.post(f"{session}/messages", json=asked, headers=headers) for _ in range(2)]
    assert first.text.count("event: answer") == 1
    assert again.text == first.text
    assert again.headers["content-type"] == first.headers["content-type"]
    assert len((await client.get(f"{session}/history")).json()["turns"]) == 1


async def test_an_upload_is_taken_in_once_however_it_is_cut(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "upload-1"}
    # Each request has a boundary of its own, so their bytes differ.
    sent = [
        await client.post("/api/documents", files={"files": ("travel.md", b"x")}, headers=key)
        for _ in range(2)
    ]
    assert sent[0].json()["id"] == sent[1].json()["id"]
    other = await client.post("/api/documents", files={"files": ("travel.md", b"y")}, headers=key)
    problem(other, 422, "key-reused")


async def test_one_under_way_is_told_to_wait_and_one_given_up_may_be_sent_again(
    written: httpx.AsyncClient, writing: Engine, language_model: OpenAIServer
) -> None:
    session = await begin(written)
    key, asked = {"Idempotency-Key": "slow-1"}, {"question": QUESTION}
    language_model.script(Reply("Slowly [1].", hang_after=1))
    first = asyncio.create_task(written.post(f"{session}/messages", json=asked, headers=key))
    assert await language_model.arrived()
    waiting = await written.post(f"{session}/messages", json=asked, headers=key)
    problem(waiting, 409, "under-way")
    assert waiting.headers["retry-after"] == "1"
    first.cancel()
    assert await language_model.disconnected()

    language_model.script(Reply("Up to 45 euros [1]."))
    for _ in range(200):
        answered = await written.post(f"{session}/messages", json=asked, headers=key)
        if answered.status_code != 409:
            break
        await asyncio.sleep(0.01)
    assert answered.json()["text"] == "Up to 45 euros [1]."
    assert len((await written.get(f"{session}/history")).json()["turns"]) == 1


async def test_what_was_refused_may_be_sent_again(client: httpx.AsyncClient) -> None:
    session = await begin(client)
    key = {"Idempotency-Key": "refused-1"}
    asked = {"question": "??"}
    for _ in range(2):
        problem(await client.post(f"{session}/messages", json=asked, headers=key), 422, "invalid")


async def test_two_processes_do_it_once(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()
    async with (
        open_engine(settings) as one,
        open_engine(settings) as two,
        serving(one) as first,
        serving(two) as second,
    ):
        key = {"Idempotency-Key": "both"}
        sent = await asyncio.gather(
            *(c.post("/api/chat/sessions", json={}, headers=key) for c in (first, second) * 4)
        )
        assert {response.status_code for response in sent} <= {201, 409}
        made = {response.json()["id"] for response in sent if response.status_code == 201}
        again = await second.post("/api/chat/sessions", json={}, headers=key)
        assert made == {again.json()["id"]}
        assert len((await first.get("/api/chat/sessions")).json()["sessions"]) == 1


async def test_a_claim_of_a_process_that_died_is_taken_over_and_old_keys_are_removed(
    client: httpx.AsyncClient, quoting: Engine
) -> None:
    headers = {"Idempotency-Key": "died"}
    first = (await client.post("/api/chat/sessions", json={}, headers=headers)).json()["id"]

    async def change(**values: object) -> None:
        async with quoting.database.write() as db:
            await db.execute(update(idempotency_keys).values(**values))

    await change(status=None, body=None, made=None)  # it had made nothing yet
    problem(await client.post("/api/chat/sessions", json={}, headers=headers), 409, "under-way")
    await change(claimed_until=func.now())
    second = (await client.post("/api/chat/sessions", json={}, headers=headers)).json()["id"]
    assert second != first

    await change(expires_at=func.now())
    async with serving(quoting) as fresh:  # one that has not looked for old keys yet
        await fresh.post("/api/chat/sessions", json={}, headers={"Idempotency-Key": "new"})
    async with quoting.database.read() as db:
        assert (await db.execute(select(func.count()).select_from(idempotency_keys))).scalar_one() == 1


async def test_what_a_process_made_before_it_died_is_not_made_again(
    client: httpx.AsyncClient, quoting: Engine
) -> None:
    """It had stored the turn, and not yet the response."""
    session = await begin(client)
    headers, asked = {"Idempotency-Key": "made-1"}, {"question": QUESTION}

    async def die() -> None:
        async with quoting.database.write() as db:
            await db.execute(
                update(idempotency_keys).values(status=None, body=None, claimed_until=func.now())
            )

    first = (await client.post(f"{session}/messages", json=asked, headers=headers)).json()
    await die()
    again = (await client.post(f"{session}/messages", json=asked, headers=headers)).json()
    assert (again["turn_id"], again["text"]) == (first["turn_id"], first["text"])
    streaming = {"Idempotency-Key": "made-2", "Accept": "text/event-stream"}
    streamed = await client.post(f"{session}/messages", json=asked, headers=streaming)
    await die()
    replayed = await client.post(f"{session}/messages", json=asked, headers=streaming)
    assert events(replayed.text) == events(streamed.text)[-1:]
    assert len((await client.get(f"{session}/history")).json()["turns"]) == 2

    begun = await client.post("/api/chat/sessions", json={}, headers={"Idempotency-Key": "made-3"})
    await die()
    once = await client.post("/api/chat/sessions", json={}, headers={"Idempotency-Key": "made-3"})
    assert once.json()["id"] == begun.json()["id"]


async def test_a_request_under_way_keeps_its_claim(
    written: httpx.AsyncClient,
    writing: Engine,
    language_model: OpenAIServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(idempotency, "RENEWED_SECONDS", 0.05)
    session = await begin(written)
    key, asked = {"Idempotency-Key": "long-1"}, {"question": QUESTION}
    language_model.script(Reply("Slowly [1].", hang_after=1))
    first = asyncio.create_task(written.post(f"{session}/messages", json=asked, headers=key))
    assert await language_model.arrived()

    async def until() -> object:
        async with writing.database.read() as db:
            return (await db.execute(select(func.max(idempotency_keys.c.claimed_until)))).scalar()

    begun = await until()
    async with asyncio.timeout(10):
        while await until() == begun:
            await asyncio.sleep(0.02)
    problem(await written.post(f"{session}/messages", json=asked, headers=key), 409, "under-way")
    first.cancel()
    assert await language_model.disconnected()


async def test_a_key_must_be_one_word(client: httpx.AsyncClient) -> None:
    for key in ("", "two words", "x" * 256):
        refused = await client.post("/api/chat/sessions", json={}, headers={"Idempotency-Key": key})
        problem(refused, 422, "invalid")
