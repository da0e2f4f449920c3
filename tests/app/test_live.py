"""Questions of the chat box's script: kept as any other, and only for whom the browser is signed in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx2 as httpx
import pytest

from app.chat.live import PATH, LiveChat
from app.visitor import COOKIE
from engine.access.principal import SYSTEM, acting
from engine.chat.model import Turn
from engine.engine import Engine
from tests.access.conftest import PASSWORD, join
from tests.api.conftest import QUESTION, serving, stock
from tests.api.test_chat import events
from tests.conftest import OpenEngine
from tests.openai_server import OpenAIServer, Reply

pytestmark = pytest.mark.anyio

UNKNOWN = "bfca33e0-4825-4791-868b-b43e560c5731"


@pytest.fixture(scope="module")
async def quoting(open_test_engine: OpenEngine) -> AsyncIterator[Engine]:
    async with open_test_engine() as engine:
        await stock(engine)
        yield engine


@pytest.fixture(scope="module")
async def page(quoting: Engine) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(quoting, LiveChat) as client:
        yield client


async def ask(page: httpx.AsyncClient, **asked: object) -> list[tuple[str, Any]]:
    """What comes, but for how far it is: that depends on the machine."""
    answer = await page.post(PATH, json=asked)
    assert answer.status_code == 200, answer.text
    return [(name, value) for name, value in events(answer.text) if name != "written"]


async def test_a_question_begins_a_chat_and_the_next_goes_on_in_it(
    page: httpx.AsyncClient, quoting: Engine
) -> None:
    (first, session), (last, turn) = await ask(page, question=QUESTION)
    assert (first, last) == ("session", "turn")
    assert "<mark>Meals abroad are refunded up to 45 euros a day.</mark>" in turn["html"]
    ((_, other),) = await ask(page, question="Bảo đảm dự thầu là bao nhiêu?", session_id=session["id"])
    assert "2% giá gói thầu" in other["html"]
    turns = await quoting.sessions.turns(UUID(session["id"]))
    assert [kept.id for kept in turns] == [turn["id"], other["id"]]
    assert (await quoting.sessions.get(UUID(session["id"]))).title == QUESTION


async def test_it_holds_to_the_scope(page: httpx.AsyncClient) -> None:
    *_, (_, turn) = await ask(page, question=QUESTION, filter={"languages": ["vi"]})
    assert "45 euros" not in turn["html"]


@pytest.mark.parametrize(
    ("sent", "status", "told"),
    [
        ({"json": {"question": ""}}, 422, "question"),
        ({"content": "{", "headers": {"Content-Type": "application/json"}}, 400, "JSON"),
        ({"json": {"question": QUESTION, "who": "me"}}, 422, "who"),
        ({"json": {"question": QUESTION, "session_id": UNKNOWN}}, 404, "session"),
        ({"json": {"question": QUESTION}, "headers": {"Origin": "http://evil.example"}}, 403, "another site"),
        ({"content": "question=1", "headers": {"Content-Type": "text/plain"}}, 415, "media type"),
    ],
)
async def test_what_cannot_be_asked_is_told(
    page: httpx.AsyncClient, sent: dict[str, Any], status: int, told: str
) -> None:
    answer = await page.post(PATH, **sent)
    assert (answer.status_code, told in answer.text) == (status, True), answer.text


async def test_what_fails_after_a_chat_has_begun_is_told_in_the_stream(page: httpx.AsyncClient) -> None:
    (_, _), (name, problem) = await ask(page, question="x" * 5000)
    assert name == "error" and "at most 4,000" in problem["detail"] and problem["hint"]


async def test_a_stop_keeps_what_was_written_and_asked_again_it_makes_way(
    open_test_engine: OpenEngine,
) -> None:
    with OpenAIServer() as model:
        async with (
            open_test_engine(openai_api_key="test", openai_base_url=model.url) as engine,
            serving(engine, LiveChat) as page,
        ):
            await stock(engine)
            model.default = Reply("Meals [1]. More", pieces=["Meals [1]. ", "More"], hang_after=1)
            session = (await engine.sessions.create("Meals")).id
            asked = {"question": QUESTION, "session_id": str(session)}
            async with page.stream("POST", PATH, json=asked) as answer:
                async for line in answer.aiter_lines():
                    if "Meals" in line and line.startswith("data: "):
                        break

            (kept,) = await _turns(engine, session)
            assert (kept.answer.complete, kept.answer.text.strip()) == (False, "Meals [1].")
            model.default = Reply("Up to 45 euros [1]. <b>bold</b>")
            *_, (_, turn) = await ask(page, **asked)
            (kept,) = await _turns(engine, session)
            assert kept.id == turn["id"] and kept.answer.complete
            assert "45 euros" in turn["html"] and "<b>bold" not in turn["html"]


async def _turns(engine: Engine, session: UUID) -> list[Turn]:
    """Once there is one: what was stopped is put away after its reader has left."""
    async with asyncio.timeout(10):
        while not (turns := await engine.sessions.turns(session)):
            pass
    return turns


async def test_with_access_control_the_browsers_sign_in_decides(open_test_engine: OpenEngine) -> None:
    async with open_test_engine(access_control=True) as engine, serving(engine, LiveChat) as page:
        with acting(SYSTEM):
            await stock(engine)
        await join(engine, "anna")
        await join(engine, "bert")
        sign_in = engine.entrance.sign_ins.sign_in
        assert (await page.post(PATH, json={"question": QUESTION})).status_code == 401
        page.cookies.set(COOKIE, await sign_in("anna", PASSWORD))
        (_, session), (name, _) = await ask(page, question=QUESTION)
        assert name == "turn"
        page.cookies.set(COOKIE, await sign_in("bert", PASSWORD))
        answer = await page.post(PATH, json={"question": QUESTION, "session_id": session["id"]})
        assert answer.status_code == 404
        page.cookies.set(COOKIE, "forged")
        assert (await page.post(PATH, json={"question": QUESTION})).status_code == 401
