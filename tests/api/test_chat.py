"""Sessions over REST: kept, streamed in order, and nothing held for a client that has left."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2 as httpx
import pytest

from engine.engine import Engine
from tests.openai_server import OpenAIServer, Reply

from .conftest import QUESTION, settled

pytestmark = pytest.mark.anyio

STREAM = {"Accept": "text/event-stream"}


def events(text: str) -> list[tuple[str, Any]]:
    """The events of a stream: names and values."""
    found = []
    for block in text.strip().split("\n\n"):
        if not block.startswith(":"):
            name, data = block.split("\n", 1)
            found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def begin(client: httpx.AsyncClient) -> str:
    created = await client.post("/api/chat/sessions", json={})
    assert created.status_code == 201
    assert created.headers["location"] == f"/api/chat/sessions/{created.json()['id']}"
    return created.headers["location"]


async def test_a_session_keeps_what_was_asked_in_it(client: httpx.AsyncClient) -> None:
    session = await begin(client)
    answer = (await client.post(f"{session}/messages", json={"question": QUESTION})).json()
    assert "45 euros" in answer["text"]
    history = (await client.get(f"{session}/history")).json()
    (turn,) = history["turns"]
    assert turn["answer"] == answer
    assert history["session"]["title"] == QUESTION
    listed = (await client.get("/api/chat/sessions", params={"search": "meals abroad"})).json()["sessions"]
    assert session.endswith(listed[0]["id"])

    assert (await client.delete(session)).status_code == 204
    assert (await client.get(f"{session}/history")).status_code == 404
    assert (await client.post(f"{session}/restore")).json()["turn_count"] == 1


async def test_votes_are_kept_with_the_turn(client: httpx.AsyncClient) -> None:
    session, other = await begin(client), await begin(client)
    turn_id = (await client.post(f"{session}/messages", json={"question": QUESTION})).json()["turn_id"]

    async def votes() -> list[str | None]:
        return [turn["vote"] for turn in (await client.get(f"{session}/history")).json()["turns"]]

    for vote in ("up", "down", None):
        sent = await client.put(f"{session}/turns/{turn_id}/vote", json={"vote": vote, "reason": "Đúng"})
        assert sent.status_code == 204
        assert await votes() == [vote]
    for address in (f"{other}/turns/{turn_id}/vote", f"{session}/turns/1000000/vote"):
        assert (await client.put(address, json={"vote": "up"})).status_code == 404


async def test_history_and_sessions_come_in_pages(client: httpx.AsyncClient) -> None:
    session = await begin(client)
    for n in range(5):
        await client.post(f"{session}/messages", json={"question": f"Trains in class {n}?"})
    latest = (await client.get(f"{session}/history?limit=2")).json()
    assert [turn["position"] for turn in latest["turns"]] == [3, 4]
    earlier = (await client.get(f"{session}/history?limit=2&before={latest['before']}")).json()
    assert [turn["position"] for turn in earlier["turns"]] == [1, 2]
    first = (await client.get(f"{session}/history?limit=2&before={earlier['before']}")).json()
    assert ([turn["position"] for turn in first["turns"]], first["before"]) == ([0], None)

    await begin(client)
    page = (await client.get("/api/chat/sessions?limit=1")).json()
    other = (await client.get(f"/api/chat/sessions?limit=1&offset={page['next_offset']}")).json()
    assert page["sessions"][0]["id"] != other["sessions"][0]["id"]


async def test_a_stream_tells_stages_then_text_then_the_answer(
    written: httpx.AsyncClient, language_model: OpenAIServer
) -> None:
    language_model.script(Reply("Up to 45 euros a day [1]."))
    session = await begin(written)
    async with written.stream(
        "POST", f"{session}/messages", json={"question": QUESTION}, headers=STREAM
    ) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        told = events((await response.aread()).decode())
    names = [name for name, _ in told]
    assert names[0] == "stage"
    assert names.count("answer") == 1 and names[-1] == "answer"
    assert names.index("text") > max(n for n, name in enumerate(names) if name == "stage")
    answer = told[-1][1]
    assert "".join(value["text"] for name, value in told if name == "text") == answer["text"]
    assert "45 euros" in answer["citations"][0]["quote"]
    assert answer["turn_id"] is not None


async def test_a_client_that_hangs_up_frees_everything(
    written: httpx.AsyncClient, writing: Engine, language_model: OpenAIServer
) -> None:
    session = await begin(written)
    before = {task.get_name() for task in asyncio.all_tasks()}
    for headers in (STREAM, {}):
        language_model.script(Reply("Up to 45 euros a day [1].", hang_after=2))
        sending = asyncio.create_task(
            written.post(f"{session}/messages", json={"question": QUESTION}, headers=headers)
        )
        assert await language_model.arrived()
        await asyncio.sleep(0.05)  # into the middle of the reply
        sending.cancel()
        assert await language_model.disconnected()  # the upstream stream was closed
        assert await settled(lambda: writing.database.pool_status().in_use == 0)
        # What had been written is kept as it was left, once.
        assert await settled_history(written, session)
    assert await settled(
        lambda: not [t for t in asyncio.all_tasks() if "_answer" in str(t.get_coro()) and not t.done()]
    ), before

    # Asked again it takes the place of the stopped turn.
    language_model.script(Reply("Up to 45 euros a day [1]."))
    await written.post(f"{session}/messages", json={"question": QUESTION})
    (turn,) = (await written.get(f"{session}/history")).json()["turns"]
    assert turn["answer"]["complete"]


async def settled_history(client: httpx.AsyncClient, session: str) -> bool:
    for _ in range(200):
        turns = (await client.get(f"{session}/history")).json()["turns"]
        if len(turns) == 1 and not turns[0]["answer"]["complete"]:
            return True
        await asyncio.sleep(0.01)
    return False


async def test_what_fails_in_the_middle_of_a_stream_is_its_last_event(
    written: httpx.AsyncClient, writing: Engine, language_model: OpenAIServer
) -> None:
    session = await begin(written)
    language_model.script(Reply("Up to 45 euros a day [1].", delay_first=0.3))
    async with written.stream(
        "POST", f"{session}/messages", json={"question": QUESTION}, headers=STREAM
    ) as response:
        pieces = response.aiter_text()
        text = await anext(pieces)
        await writing.sessions.delete(session.rsplit("/", 1)[1])  # type: ignore[arg-type]
        async for piece in pieces:
            text += piece
    name, problem = events(text)[-1]
    assert (name, problem["status"], problem["type"]) == ("error", 404, "urn:dossier:problem:not-found")
