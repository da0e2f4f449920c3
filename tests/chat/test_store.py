"""Sessions and turns are kept as they were, in order, and can be found, undone and exported."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from pydantic import TypeAdapter

from engine.answering.base import Exchange
from engine.answering.model import Answer, Citation, Receipt, StageTiming
from engine.chat.model import Session
from engine.chat.store import SessionStore
from engine.documents.model import DocumentFilter, Passage
from engine.engine import Engine
from engine.errors import BadInput, NotFound
from engine.retrieval.model import Candidate
from engine.storage.database import Database, Unsettled
from engine.storage.fixed import Fixed

pytestmark = pytest.mark.anyio

TEXT = "Bảo đảm dự thầu là 3%. Hiệu lực 180 ngày."
PASSAGE = Passage(1, 1, "Luật Đấu thầu", "docx", "active", 1, 0, TEXT, "Điều 14", "", 3, 0, len(TEXT), "hash")


def answer(question: str, text: str = "Bảo đảm dự thầu là 3%. [1]") -> Answer:
    return Answer(
        question=question,
        standalone_question=question,
        text=text,
        kind="quotes",
        citations=(Citation(1, PASSAGE, 0, 22),),
        sources=(Candidate(PASSAGE, 1.5, 0.8, 1.0, None, 1.0),),
        confidence=0.9,
        receipt=Receipt(stages=(StageTiming("search", 1.25),), models={"embedder": "e5"}, settings={"k": 5}),
    )


async def add(engine: Engine, session: Session, question: str, **options: int) -> int:
    return await engine.sessions.add_turn(
        session.id, answer(question), mode="fast", filter=DocumentFilter(tags=("luật",)), **options
    )


async def test_a_turn_comes_back_as_it_was(engine: Engine) -> None:
    session = await engine.sessions.create()
    await add(engine, session, "Bảo đảm dự thầu là bao nhiêu?")
    (turn,) = await engine.sessions.turns(session.id)
    assert turn.answer == answer("Bảo đảm dự thầu là bao nhiêu?")
    assert turn.filter == DocumentFilter(tags=("luật",))
    assert turn.answer.citations[0].quote == "Bảo đảm dự thầu là 3%."
    assert (await engine.sessions.get(session.id)).title == "Bảo đảm dự thầu là bao nhiêu?"


async def test_a_turn_kept_before_costs_were_counted_is_still_read() -> None:
    kept = TypeAdapter(Answer).dump_python(answer("Bao nhiêu?"), mode="json")
    del kept["receipt"]["cost_usd"]
    assert TypeAdapter(Answer).validate_python(kept).receipt.cost_usd is None


async def test_two_tabs_that_write_at_once_keep_every_turn_in_order(engine: Engine) -> None:
    session = await engine.sessions.create()
    ids = await asyncio.gather(*(add(engine, session, f"question {n}") for n in range(10)))
    turns = await engine.sessions.turns(session.id)
    assert [turn.position for turn in turns] == list(range(10))
    assert {turn.id for turn in turns} == set(ids)


class WordLost(Database):
    """The database does what it is told, and its answer never comes."""

    async def change(self, statement: Fixed, given: Mapping[str, object]) -> Sequence[Any]:
        await super().change(statement, given)
        raise Unsettled


async def test_a_session_and_a_turn_whose_word_was_lost_are_there_once(engine: Engine) -> None:
    known = engine.database
    lost = WordLost(
        known.url, schema=known.schema, pool_size=1, pool_timeout_seconds=5, statement_timeout_seconds=10
    )
    store = SessionStore(lost)
    session = await store.create("Lost words")
    ids = [
        await store.add_turn(session.id, answer(asked), mode="fast", filter=DocumentFilter())
        for asked in ("first", "second")
    ]
    await lost.aclose()
    assert [turn.id for turn in await engine.sessions.turns(session.id)] == ids
    assert [found.id for found in await engine.sessions.list()] == [session.id]


async def test_a_question_begins_with_what_was_said_and_in_the_place_of_the_one_that_was_stopped(
    engine: Engine,
) -> None:
    session = await engine.sessions.create()
    assert await engine.sessions.opening(session.id, "first", 3) == (None, ())
    for asked in ("first", "second", "third"):
        await add(engine, session, asked)
    stopped = await engine.sessions.add_turn(
        session.id, replace(answer("fourth"), complete=False), mode="fast", filter=DocumentFilter()
    )
    said = [Exchange(asked, answer("").text) for asked in ("first", "second", "third", "fourth")]
    assert await engine.sessions.opening(session.id, " fourth ", 2) == (stopped, tuple(said[1:3]))
    assert await engine.sessions.opening(session.id, "fifth", 2) == (None, tuple(said[2:]))
    assert await engine.sessions.opening(session.id, "fourth", 0) == (stopped, ())


async def test_a_replaced_turn_takes_what_followed_with_it(engine: Engine) -> None:
    session = await engine.sessions.create()
    ids = [await add(engine, session, f"question {n}") for n in range(3)]
    await add(engine, session, "better question", replaces=ids[1])
    turns = await engine.sessions.turns(session.id)
    assert [turn.answer.question for turn in turns] == ["question 0", "better question"]
    assert [turn.position for turn in turns] == [0, 1]


async def test_sessions_are_found_by_what_was_asked_and_answered(engine: Engine) -> None:
    first, second, _empty = [await engine.sessions.create() for _ in range(3)]
    await add(engine, first, "What about parking?")
    await add(engine, second, "Thời hạn?")
    assert [s.id for s in await engine.sessions.list()] == [second.id, first.id]
    assert [s.id for s in await engine.sessions.list("PARKING")] == [first.id]
    assert {s.id for s in await engine.sessions.list("bảo đảm")} == {first.id, second.id}
    assert await engine.sessions.list("100%_") == []


async def test_a_deleted_session_can_be_brought_back(engine: Engine) -> None:
    session = await engine.sessions.create("Kept")
    await add(engine, session, "one")
    await engine.sessions.delete(session.id)
    with pytest.raises(NotFound):
        await engine.sessions.get(session.id)
    assert await engine.sessions.list() == []
    await engine.sessions.restore(session.id)
    assert (await engine.sessions.get(session.id)).turn_count == 1


async def test_votes_are_kept_with_their_reason_and_taken_back(engine: Engine) -> None:
    session = await engine.sessions.create()
    turn_id = await add(engine, session, "one")
    await engine.sessions.vote(turn_id, "down", "wrong  article")
    (turn,) = await engine.sessions.turns(session.id)
    assert (turn.vote, turn.reason) == ("down", "wrong article")
    await engine.sessions.vote(turn_id, None)
    (turn,) = await engine.sessions.turns(session.id)
    assert (turn.vote, turn.reason) == (None, "")


async def test_the_export_holds_questions_answers_and_quotes(engine: Engine) -> None:
    session = await engine.sessions.create("Dự thầu")
    await add(engine, session, "Bảo đảm?")
    exported = await engine.sessions.export(session.id)
    for part in ("# Dự thầu", "## Bảo đảm?", "Bảo đảm dự thầu là 3%. [1]", "Luật Đấu thầu, Điều 14, p. 3"):
        assert part in exported


async def test_what_is_not_there_is_said_to_be_not_there(engine: Engine) -> None:
    for attempt in (
        engine.sessions.get(uuid4()),
        engine.sessions.opening(uuid4(), "x", 3),
        engine.sessions.rename(uuid4(), "x"),
        engine.sessions.delete(uuid4()),
        engine.sessions.restore(uuid4()),
        engine.sessions.vote(12345, "up"),
        engine.sessions.add_turn(uuid4(), answer("x"), mode="fast", filter=DocumentFilter()),
    ):
        with pytest.raises(NotFound):
            await attempt
    session = await engine.sessions.create("a title")
    with pytest.raises(BadInput):
        await engine.sessions.rename(session.id, " \n")
