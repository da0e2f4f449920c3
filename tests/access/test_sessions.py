"""A session is its owner's; a guessed id leads nowhere."""

from __future__ import annotations

import pytest

from engine.access.principal import SYSTEM, acting
from engine.engine import Engine
from engine.errors import NotAllowed, NotFound, NotSignedIn
from tests.api.conftest import serving

from .conftest import join, key_of
from .test_collections import QUESTION, SECRET, put

pytestmark = pytest.mark.anyio


async def test_another_finds_nothing_by_its_id(guarded: Engine) -> None:
    anna, ben = await join(guarded, "s-anna"), await join(guarded, "s-ben")
    sessions = guarded.sessions
    with acting(anna):
        session = await sessions.create("Anna's merger plans")
        answer = await guarded.ask("What is planned?", session_id=session.id)
        turn = (await sessions.turns(session.id))[0]
        assert turn.answer.question == answer.question
    with acting(ben):
        assert await sessions.list("merger", empty_too=True) == []
        assert await sessions.turns(session.id) == []
        for work in (
            sessions.get(session.id),
            sessions.rename(session.id, "Ben's"),
            sessions.delete(session.id),
            sessions.restore(session.id),
            sessions.export(session.id),
            sessions.vote(turn.id, "down"),
            guarded.ask("And then?", session_id=session.id),
        ):
            with pytest.raises(NotFound):
                await work
    with acting(anna):
        assert (await sessions.get(session.id)).title == "Anna's merger plans"
        assert (await sessions.turns(session.id))[0].vote is None
    with pytest.raises(NotSignedIn):
        await sessions.get(session.id)


async def test_over_rest_too_and_an_idempotency_key_is_ones_own(guarded: Engine) -> None:
    await join(guarded, "r-anna"), await join(guarded, "r-ben")
    async with serving(guarded) as client:
        anna, ben = [
            {"Authorization": f"Bearer {await key_of(guarded, name)}", "Idempotency-Key": "one"}
            for name in ("r-anna", "r-ben")
        ]
        made = await client.post("/api/chat/sessions", json={"title": "Secret"}, headers=anna)
        other = await client.post("/api/chat/sessions", json={"title": "Secret"}, headers=ben)
        assert made.json()["id"] != other.json()["id"]
        address = made.headers["location"]
        assert (await client.get(address, headers=anna)).status_code == 200
        for path in (address, f"{address}/history"):
            assert (await client.get(path, headers=ben)).status_code == 404
        assert (await client.delete(address, headers=ben)).status_code == 404
        asked = await client.post(f"{address}/messages", json={"question": "What?"}, headers=ben)
        assert asked.status_code == 404
        asked = await client.post(
            "/api/ask", json={"question": "What?", "session_id": made.json()["id"]}, headers=ben
        )
        assert asked.status_code == 404
        assert (await client.get("/api/chat/sessions", headers=anna)).json()["sessions"][0][
            "title"
        ] == "Secret"


async def test_what_a_role_or_scope_may_not_is_refused(guarded: Engine) -> None:
    await join(guarded, "q-reader"), await join(guarded, "q-operator", "operator")
    async with serving(guarded) as client:
        reader, operator = [
            {"Authorization": f"Bearer {await key_of(guarded, name, 'read', 'operate')}"}
            for name in ("q-reader", "q-operator")
        ]
        refused = await client.get("/features", headers=reader)
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:dossier:problem:not-allowed")
        assert (await client.get("/features", headers=operator)).status_code == 200
        assert (await client.get("/features")).status_code == 401
        assert (await client.get("/ready")).status_code == 200


async def test_a_request_sent_again_is_not_answered_from_what_one_no_longer_reads(guarded: Engine) -> None:
    anna, ben = await join(guarded, "i-anna", "admin"), await join(guarded, "i-ben")
    with acting(SYSTEM):
        board = await guarded.entrance.collections.create("Replayed", members=["i-anna", "i-ben"])
    await put(guarded, anna, "zephyr.md", SECRET, board)
    with acting(ben):
        session = await guarded.sessions.create()
    headers = {"Authorization": f"Bearer {await key_of(guarded, 'i-ben')}", "Idempotency-Key": "again"}
    async with serving(guarded) as client:
        asked = f"/api/chat/sessions/{session.id}/messages", {"question": QUESTION}
        first, again = [await client.post(asked[0], json=asked[1], headers=headers) for _ in range(2)]
        assert "90 million" in first.text and again.content == first.content
        with acting(SYSTEM):
            await guarded.entrance.collections.change(board, leave=["i-ben"])
        later = await client.post(asked[0], json=asked[1], headers=headers)
        assert later.status_code == 422 and "90 million" not in later.text


async def test_a_link_shows_a_session_until_it_is_ended(guarded: Engine) -> None:
    anna, ben = await join(guarded, "l-anna"), await join(guarded, "l-ben")
    sessions = guarded.sessions
    with acting(anna):
        session = await sessions.create("Plans")
        await guarded.ask("What is planned?", session_id=session.id)
        first, token = await sessions.share(session.id), await sessions.share(session.id)
        assert (await sessions.get(session.id)).shared and not session.shared
    with acting(ben):
        seen, turns = await sessions.shared(token)
        assert (seen.id, [turn.answer.question for turn in turns]) == (session.id, ["What is planned?"])
        for work in (
            sessions.shared(first),  # the newer link ended it
            sessions.get(session.id),  # to be read by its link only
            sessions.share(session.id),
            sessions.unshare(session.id),
        ):
            with pytest.raises(NotFound):
                await work
    with pytest.raises(NotSignedIn):
        await sessions.shared(token)
    with acting(anna):
        await sessions.unshare(session.id)
    with acting(ben), pytest.raises(NotFound):
        await sessions.shared(token)


async def test_operators_see_how_long_questions_took_and_not_what_was_asked(guarded: Engine) -> None:
    with acting(await join(guarded, "t-anna")):
        await guarded.ask("What is the takeover called?")
    with acting(await join(guarded, "t-olga", "operator")):
        await guarded.ask("How are meals refunded?")
        shown = guarded.traces.recent()
        assert shown[0].question == "How are meals refunded?" and shown[1].total_ms > 0
        assert "takeover" not in repr(shown)
    with acting(await join(guarded, "t-ben")), pytest.raises(NotAllowed):
        guarded.traces.recent()
