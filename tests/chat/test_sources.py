"""An old answer is known to stand on what its documents no longer say, and only then."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from engine.chat.model import Turn
from engine.chat.sources import ChangedSource
from engine.documents.jobs import Upload
from engine.engine import Engine

from ..conftest import OpenEngine

pytestmark = pytest.mark.anyio

MEALS = "## Meals\n\nMeals abroad are refunded up to 45 euros a day.\n"
FILES = {
    "travel.md": f"# Travel policy\n\n{MEALS}",
    "trains.md": "# Train rules\n\n## Class\n\nTrains are booked in second class.\n",
}


@pytest.fixture
async def stocked(open_test_engine: OpenEngine) -> AsyncIterator[Engine]:
    async with open_test_engine() as engine:
        await ingest(engine, FILES)
        yield engine


async def ingest(engine: Engine, files: dict[str, str]) -> None:
    job = await engine.ingestion.submit([Upload(name, text.encode()) for name, text in files.items()])
    job = await engine.ingestion.wait(job.id)
    assert {file.stage for file in job.files} <= {"done", "replaced"}, job


class Asked:
    """A session with an answer about meals and one about trains."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def ask(self) -> Asked:
        self.session = await self.engine.sessions.create()
        for question in ("How much is refunded for meals abroad?", "How are trains booked?"):
            answer = await self.engine.ask(question, session_id=self.session.id)
            assert answer.citations
        self.meals, self.trains = [turn.id for turn in await self.turns()]
        travel = (await self.turns())[0].answer.citations[0].passage
        self.travel_id, self.travel_title = travel.document_id, travel.document_title
        return self

    async def turns(self) -> list[Turn]:
        return await self.engine.sessions.turns(self.session.id)

    async def changed(self) -> dict[int, tuple[ChangedSource, ...]]:
        return await self.engine.changed_sources(await self.turns())


@pytest.fixture
async def asked(stocked: Engine) -> Asked:
    return await Asked(stocked).ask()


async def test_answers_stand_while_nothing_happens(asked: Asked) -> None:
    assert await asked.changed() == {}
    assert await asked.engine.changed_sources([]) == {}


async def test_a_new_version_that_says_something_else_is_noticed_where_it_was_cited(asked: Asked) -> None:
    await ingest(asked.engine, {"travel.md": FILES["travel.md"].replace("45", "60")})
    assert await asked.changed() == {
        asked.meals: (ChangedSource(asked.travel_id, asked.travel_title, "changed"),)
    }


async def test_a_new_version_that_still_holds_the_cited_passage_is_no_change(asked: Asked) -> None:
    hotels = " ".join(f"Room {n} of the guest house costs {n} euros a night." for n in range(60))
    await ingest(asked.engine, {"travel.md": f"{FILES['travel.md']}\n## Hotels\n\n{hotels}\n"})
    turns = await asked.turns()
    document = await asked.engine.documents.get(asked.travel_id)
    assert document.version == turns[0].answer.citations[0].passage.document_version + 1
    assert await asked.changed() == {}


async def test_indexing_anew_is_no_change(asked: Asked) -> None:
    job = await asked.engine.ingestion.reindex([asked.travel_id])
    await asked.engine.ingestion.wait(job.id)
    assert await asked.changed() == {}


async def test_a_deleted_document_is_gone_until_it_is_restored(asked: Asked) -> None:
    gone = {asked.meals: (ChangedSource(asked.travel_id, asked.travel_title, "gone"),)}
    await asked.engine.documents.delete([asked.travel_id])
    assert await asked.changed() == gone
    await asked.engine.documents.restore([asked.travel_id])
    assert await asked.changed() == {}


async def test_words_that_come_back_are_no_change_any_more(asked: Asked) -> None:
    await ingest(asked.engine, {"travel.md": FILES["travel.md"].replace("45", "60")})
    assert await asked.changed()
    await ingest(asked.engine, {"travel.md": FILES["travel.md"]})
    assert await asked.changed() == {}


async def test_an_answer_that_cites_nothing_has_no_source_to_lose(asked: Asked) -> None:
    answer = await asked.engine.ask("What is the boiling point of tungsten?", session_id=asked.session.id)
    assert answer.kind == "no_answer"
    await asked.engine.documents.delete([asked.travel_id])
    assert [*await asked.changed()] == [asked.meals]


async def test_a_question_asked_again_is_read_as_it_was_and_knows_whose_it_is(asked: Asked) -> None:
    sessions = asked.engine.sessions
    session = await sessions.create()
    for question in ("How much is refunded for meals abroad?", "And for trains?", "What is a kraken?"):
        await asked.engine.ask(question, session_id=session.id)
    _first, follow_up, _last = await sessions.turns(session.id)
    assert follow_up.answer.standalone_question != follow_up.answer.question
    events = asked.engine.stream(follow_up.answer.question, session_id=session.id, asks_again=follow_up.id)
    async for _ in events:
        pass
    turns = await sessions.turns(session.id)
    assert [turn.answer.asks_again for turn in turns] == [None, None, None, follow_up.id]
    assert turns[-1].answer.standalone_question == follow_up.answer.standalone_question
