"""What is in a collection that one does not read is not there: not found, not counted, not hinted at."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text

from engine.access.principal import SYSTEM, Principal, acting
from engine.documents.jobs import Upload
from engine.documents.model import DocumentFilter
from engine.documents.queries import DocumentQuery
from engine.engine import Engine
from engine.errors import BadInput, DatabaseUnavailable, NotAllowed, NotFound
from tests.conftest import OpenEngine

from .conftest import join

pytestmark = pytest.mark.anyio

OPEN_TEXT = "# Travel policy\n\n## Meals\n\nMeals abroad are refunded up to 45 euros a day.\n"
SECRET = "# Project Zephyr\n\n## Takeover of Nimbus\n\nNimbus is to be bought for 90 million euros in May.\n"
QUESTION = "For how much is Nimbus to be bought?"


async def put(engine: Engine, who: Principal, name: str, content: str, collection_id: int = 1) -> int:
    """Take one file in; returns its document's id."""
    with acting(who):
        job = await engine.ingestion.submit([Upload(name, content.encode())], collection_id=collection_id)
        file = (await engine.ingestion.wait(job.id)).files[0]
    assert file.document_id is not None, file
    return file.document_id


async def test_only_members_find_what_a_collection_holds(open_test_engine: OpenEngine) -> None:
    async with open_test_engine(access_control=True, enable_semantic_cache=True) as engine:
        anna, ben = await join(engine, "anna", "editor"), await join(engine, "ben", "editor")
        with acting(SYSTEM):
            board = await engine.entrance.collections.create("Board", members=["anna"])
        await put(engine, anna, "travel.md", OPEN_TEXT)
        before = await seen(engine, ben)
        secret = await put(engine, anna, "zephyr.md", SECRET, board)
        with acting(anna):
            assert "90 million" in (await engine.ask(QUESTION)).text
            passage = (await engine.documents.passages(secret))[0]
        # Not a word, a number or a name has changed for one who is no member.
        assert await seen(engine, ben) == before
        with acting(ben):
            documents = engine.documents
            assert await documents.passages(secret) == ()
            assert await documents.outline(secret) == ()
            assert await engine.passage_context(passage.id) == []
            async with engine.database.read() as db:
                assert await documents.load_passages(db, [passage.id]) == {}
            for work in (
                documents.get(secret),
                documents.file(secret),
                engine.page_image(passage, "Nimbus"),
                documents.move([secret], board),
                engine.ingestion.submit([Upload("mine.md", b"# Mine")], collection_id=board),
                engine.ingestion.reindex([secret]),
                engine.ingestion.edit(secret, (await _metadata(engine, secret))),
            ):
                with pytest.raises(NotFound):
                    await work
            assert await documents.delete([secret]) == 0
            assert await documents.update_many([secret], add_tags=["seen"]) == 0
            assert [c.name for c in await engine.entrance.collections.mine()] == ["Everyone"]
        # A file of the same name, and the same content, are told nothing of each other.
        own = await put(engine, ben, "zephyr.md", "# Zephyr\n\nA zephyr is a gentle wind from the west.\n")
        assert own != secret
        copy = await put(engine, ben, "copy.md", SECRET)
        assert copy != secret
        with acting(ben):
            assert await engine.documents.delete([copy, own]) == 2
        with acting(anna):
            assert await engine.documents.delete([secret]) == 1
        with acting(ben):
            assert await engine.documents.restore([secret]) == 0
        with acting(anna):
            assert await engine.documents.restore([secret]) == 1


async def test_a_membership_works_from_the_next_question_on(open_test_engine: OpenEngine) -> None:
    """Cached answers and old turns included."""
    async with open_test_engine(access_control=True) as engine:
        anna, ben = await join(engine, "anna", "editor"), await join(engine, "ben")
        with acting(SYSTEM):
            board = await engine.entrance.collections.create("Board", members=["anna", "ben"])
        await put(engine, anna, "travel.md", OPEN_TEXT)
        await put(engine, anna, "zephyr.md", SECRET, board)
        with acting(ben):
            session = await engine.sessions.create()
            assert "90 million" in (await engine.ask(QUESTION, session_id=session.id)).text
        with acting(SYSTEM):
            await engine.entrance.collections.change(board, leave=["ben"])
        with acting(ben):
            assert "90 million" not in repr(await engine.ask(QUESTION))
            turns = await engine.sessions.turns(session.id)
            assert len(turns) == 1 and "90 million" not in repr(turns) and "Zephyr" not in repr(turns)
            assert "90 million" not in await engine.sessions.export(session.id)
        with acting(SYSTEM):
            await engine.entrance.collections.change(board, everyone=True)
        with acting(ben):
            assert "90 million" in (await engine.ask(QUESTION)).text
            assert "90 million" in (await engine.sessions.turns(session.id))[0].answer.text


async def test_documents_are_moved_by_those_who_read_both_collections(open_test_engine: OpenEngine) -> None:
    async with open_test_engine(access_control=True) as engine:
        anna, ben = await join(engine, "anna", "editor"), await join(engine, "ben", "editor")
        with acting(SYSTEM):
            board = await engine.entrance.collections.create("Board", members=["anna"])
            with pytest.raises(BadInput, match="already"):
                await engine.entrance.collections.create(" Board ")
        moved = await put(engine, anna, "zephyr.md", SECRET)
        with acting(ben):
            assert "90 million" in (await engine.ask(QUESTION)).text
            with pytest.raises(NotFound):
                await engine.documents.move([moved], board)
        with acting(anna):
            assert await engine.documents.move([moved], board) == 1
            assert (await engine.documents.get(moved)).collection_id == board
        with acting(ben):
            assert "90 million" not in repr(await engine.ask(QUESTION))
        wind = await put(engine, ben, "zephyr.md", "# Zephyr\n\nA gentle wind from the west blows here.\n")
        with acting(anna), pytest.raises(BadInput, match=r"zephyr\.md"):
            await engine.documents.move([moved], 1)
        with acting(SYSTEM):
            third = await engine.entrance.collections.create("Third", everyone=True)
            with pytest.raises(BadInput):
                await engine.entrance.collections.delete(board)
        with acting(anna), pytest.raises(BadInput, match=r"two files “zephyr\.md”"):
            await engine.documents.move([moved, wind], third)


async def test_administrators_rename_and_empty_what_they_do_not_read(open_test_engine: OpenEngine) -> None:
    async with open_test_engine(access_control=True) as engine:
        anna, root = await join(engine, "anna", "editor"), await join(engine, "root", "admin")
        collections = engine.entrance.collections
        with acting(root):
            board, archive = [
                await collections.create(name, members=["anna"]) for name in ("Board", "Archive")
            ]
            await collections.change(board, name=" The  board ")
            with pytest.raises(BadInput, match="already"):
                await collections.change(board, name="Archive")
            with pytest.raises(NotFound):
                await collections.change(99, name="Nowhere")
        secret = await put(engine, anna, "zephyr.md", SECRET, board)
        gone = await put(engine, anna, "old.md", OPEN_TEXT, board)
        with acting(anna):
            assert await engine.documents.delete([gone]) == 1
            for work in (collections.change(board, name="Mine"), collections.delete(board, into=archive)):
                with pytest.raises(NotAllowed):
                    await work
        with acting(root):
            known = {c.name: (c.documents, c.deleted) for c in await collections.list()}
            assert known["The board"] == (1, 1)
            assert await collections.delete(board, into=archive) == 2
            with pytest.raises(NotFound):
                await engine.documents.get(secret)  # he moved it, and reads it no more than before
        with acting(anna):
            assert await engine.documents.restore([gone]) == 1
            listed = await engine.documents.list(DocumentQuery(DocumentFilter(collection_ids=(archive,))))
            assert {document.id for document in listed.rows} == {secret, gone}
            assert (
                "90 million"
                in (await engine.ask(QUESTION, filter=DocumentFilter(collection_ids=(archive,)))).text
            )
        with acting(root):
            within = DocumentFilter(collection_ids=(archive,))
            assert (await engine.documents.list(DocumentQuery(within))).total == 0
            assert "90 million" not in repr(await engine.ask(QUESTION, filter=within))


CHANGE = {"name": "Council", "everyone": True, "join": ["ben"], "leave": ["anna"]}


async def test_a_change_of_a_collection_is_whole_or_not_there(open_test_engine: OpenEngine) -> None:
    """Whatever part of it is refused, and when its connection is killed in the middle; the record too."""
    async with open_test_engine(access_control=True) as engine:
        anna, ben = await join(engine, "anna", "editor"), await join(engine, "ben", "editor")
        collections = engine.entrance.collections
        with acting(SYSTEM):
            board, archive = (
                await collections.create("Board", members=["anna"]),
                await collections.create("Archive"),
            )
        secret = await put(engine, anna, "zephyr.md", SECRET, board)
        works = (
            lambda: collections.create("Legal", members=["ben", "nobody-such"]),
            lambda: collections.change(board, **{**CHANGE, "name": "Archive"}),
            lambda: collections.change(board, **{**CHANGE, "join": ["ben", "nobody-such"]}),
            lambda: collections.delete(board, into=99),
        )
        with acting(SYSTEM):
            before = await told(engine)
            for work in works:
                with pytest.raises((BadInput, NotFound)):
                    await work()
                assert await told(engine) == before
            for work in (
                lambda: collections.change(board, **CHANGE),
                lambda: collections.delete(board, into=archive),
            ):
                await _killed_in_the_middle(engine, work)
                assert await told(engine) == before
            # What a killed one has left locked is free again.
            await collections.change(board, **CHANGE)
            assert await collections.delete(board, into=archive) == 1
            assert [(c.name, c.documents) for c in await collections.list()] == [
                ("Archive", 1),
                ("Everyone", 0),
            ]
        with acting(ben), pytest.raises(NotFound):
            await engine.documents.get(secret)


async def test_readers_change_nothing(guarded: Engine) -> None:
    document = await put(guarded, await join(guarded, "w-editor", "editor"), "travel.md", OPEN_TEXT)
    with acting(await join(guarded, "w-reader")):
        metadata = (await guarded.documents.get(document)).metadata
        for work in (
            guarded.ingestion.submit([Upload("a.md", b"# A")]),
            guarded.ingestion.reindex([document]),
            guarded.ingestion.edit(document, metadata),
            guarded.documents.update_many([document], status="draft"),
            guarded.documents.delete([document]),
            guarded.documents.restore([document]),
            guarded.documents.move([document], 1),
            guarded.operations.clear_cache(),
            guarded.operations.recent(),
            guarded.cache_report(),
            guarded.diagnose(),
            guarded.features(),
        ):
            with pytest.raises(NotAllowed):
                await work
        assert (await guarded.documents.get(document)).metadata == metadata


async def test_uploads_are_followed_by_whoever_began_them(guarded: Engine) -> None:
    with acting(await join(guarded, "u-anna", "editor")):
        job = await guarded.ingestion.submit([Upload("Takeover of Nimbus.md", SECRET.encode())])
    with acting(await join(guarded, "u-ben", "editor")):
        assert await guarded.ingestion.jobs() == []
        for work in (
            guarded.ingestion.job(job.id),
            guarded.ingestion.cancel(job.id),
            guarded.ingestion.wait(job.id),
        ):
            with pytest.raises(NotFound):
                await work


async def told(engine: Engine) -> str:
    """All collections, the documents in them and the whole audit."""
    async with engine.database.read() as db:
        held = await db.execute(text("SELECT id, collection_id FROM documents ORDER BY id"))
        events = await db.execute(text("SELECT id, action, subject, outcome FROM audit_events ORDER BY id"))
        return repr((await engine.entrance.collections.list(), held.all(), events.all()))


async def _killed_in_the_middle(engine: Engine, work: Callable[[], Awaitable[object]]) -> None:
    """Its connection ends where it writes its first record, after it has changed something."""
    audit = f"'{engine.database.schema}.audit_events'::regclass"
    waiting = text(f"SELECT pid FROM pg_locks WHERE NOT granted AND relation = {audit}")
    async with engine.database.write() as db:
        await db.execute(text("LOCK TABLE audit_events IN SHARE MODE"))
        working = asyncio.ensure_future(work())
        async with asyncio.timeout(10):
            while (pid := (await db.execute(waiting)).scalar()) is None:
                await asyncio.sleep(0.01)
        await db.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        with pytest.raises(DatabaseUnavailable):
            await working


async def seen(engine: Engine, who: Principal) -> str:
    """Everything that the engine tells somebody about documents."""
    with acting(who):
        found = [
            await engine.search(question, k=20, pipeline=pipeline)
            for question in (QUESTION, "meals refunded euros")
            for pipeline in (None, "bm25", "dense")
        ]
        answers = [await engine.ask(question) for question in (QUESTION, "What is refunded for meals?")]
        told = [
            (a.text, a.confidence, a.sources, a.citations, a.notice, a.receipt.candidates_before)
            for a in answers
        ]
        documents = engine.documents
        listed = await documents.list(DocumentQuery())
        page = await documents.list_after(DocumentQuery(), None)
        counted = (await documents.count(), await documents.statistics(), await documents.facets())
        return repr((found, told, listed, page, counted, await engine.suggestions()))


async def _metadata(engine: Engine, document_id: int):  # type: ignore[no-untyped-def]
    with acting(SYSTEM):
        return (await engine.documents.get(document_id)).metadata
