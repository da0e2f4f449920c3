"""What a backup holds comes back as it was, wherever nothing is; anything else is refused."""

from __future__ import annotations

import asyncio
import json
import stat
import zipfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import psutil
import pytest
from pydantic_core import to_json
from sqlalchemy import text

from engine.answering.model import Answer
from engine.documents.jobs import Upload
from engine.engine import Engine, open_engine
from engine.errors import BadInput, Unavailable
from engine.recovery.backup import back_up
from engine.recovery.container import DUMP, MANIFEST, Manifest, Progress, read_manifest
from engine.recovery.restore import restore
from engine.recovery.tools import environment, find_tools
from engine.settings import Settings
from engine.storage.migrate import migrate

from .conftest import NewDatabase, connected, rows, tables

pytestmark = pytest.mark.anyio

FILES = {
    "mua sắm.md": "# Quy chế mua sắm\n\n## Điều 5. Bảo đảm dự thầu\n\n"
    "Mức bảo đảm dự thầu là 2% giá gói thầu. Bảo đảm có hiệu lực 120 ngày.\n",
    "travel.md": "# Travel policy\n\nMeals abroad are refunded up to 45 euros a day.\n",
    "old.md": "# Old policy\n\nMeals abroad were refunded up to 20 euros a day.\n",
    "numbers.csv": "city,meals\n" + "".join(f"Town {n},{n}\n" for n in range(200)),
}
QUESTIONS = ("How much is refunded for meals abroad?", "muc bao dam du thau la bao nhieu?")


def quiet(*_: object) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class Made:
    """A backup, and the place of which it is. here: all that was there when it was made."""

    file: Path
    settings: Settings
    manifest: Manifest
    here: dict[str, list[str]]
    answers: list[Answer]


async def fill(engine: Engine) -> None:
    """Something of everything that people leave behind."""
    job = await engine.ingestion.submit([Upload(name, content.encode()) for name, content in FILES.items()])
    done = await engine.ingestion.wait(job.id)
    by_name = {file.file_name: file.document_id or 0 for file in done.files}
    document = await engine.documents.get(by_name["travel.md"])
    await engine.documents.update(document.id, replace(document.metadata, tags=("travel", "đi lại")))
    await engine.documents.delete([by_name["old.md"]])
    session = await engine.sessions.create("Chuyến đi")
    for question in QUESTIONS:
        await engine.ask(question, session_id=session.id)
    turn = (await engine.sessions.turns(session.id))[0]
    await engine.sessions.vote(turn.id, "down", "Đã cũ")
    await engine.operations.clear_cache(["L1"], "a test")


async def asked(engine: Engine) -> list[Answer]:
    """Answers, without what differs from one asking to the next."""
    return [await engine.ask(question) for question in QUESTIONS]


def said(answers: list[Answer]) -> list[object]:
    """Text, citations and what they stand on."""
    return [
        (
            answer.text,
            [(c, c.quote) for c in answer.citations],
            [(s.passage, s.score) for s in answer.sources],
        )
        for answer in answers
    ]


@pytest.fixture(scope="module")
async def made(
    new_database: NewDatabase,
    make_settings: Callable[..., Settings],
    tmp_path_factory: pytest.TempPathFactory,
) -> Made:
    """Made while Dossier runs."""
    settings = make_settings(database_url=await new_database(), database_schema="a_schema_of_its_own")
    file = tmp_path_factory.mktemp("backup") / "monday.dossier"
    async with open_engine(settings) as engine:
        await fill(engine)
        answers = await asked(engine)
        await engine.caches.drain()
        while True:
            before = await rows(engine.database)
            manifest = await back_up(engine.database, file, quiet)
            here = await rows(engine.database)
            # Every ten seconds what was measured is written down, which may be in between.
            if here["metrics_history"] == before["metrics_history"]:
                return Made(file, settings, manifest, here, answers)
            file.unlink()


@pytest.fixture
async def elsewhere(made: Made, new_database: NewDatabase) -> Settings:
    """The same settings on an empty database."""
    return made.settings.model_copy(update={"database_url": await new_database()})


async def put_back(file: Path, settings: Settings, over: str | None = None) -> None:
    async with connected(settings.database_url, settings.database_schema) as database:
        await restore(database, file, over, quiet)


async def test_everything_comes_back_and_answers_the_same(made: Made, elsewhere: Settings) -> None:
    await put_back(made.file, elsewhere)
    async with connected(elsewhere.database_url, elsewhere.database_schema) as database:
        there = await rows(database)
    assert stat.S_IMODE(made.file.stat().st_mode) == 0o600
    # The cache is not taken along. The generation grows, so that no cache elsewhere is believed.
    assert made.here["cache_entries"] and not there["cache_entries"]
    assert there["corpus"] != made.here["corpus"]
    apart = ("cache_entries", "corpus")
    assert {name: there[name] for name in there if name not in apart} == {
        name: made.here[name] for name in made.here if name not in apart
    }
    async with open_engine(elsewhere) as engine:
        assert said(await asked(engine)) == said(made.answers)
        (session,) = await engine.sessions.list()
        assert [turn.vote for turn in await engine.sessions.turns(session.id)] == ["down", None]


async def test_the_public_schema_comes_back_beside_its_extension(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    there: list[dict[str, list[str]]] = []
    for step in ("backed up", "restored", "replaced"):
        if step != "replaced":
            url = await new_database()
        async with connected(url) as database:
            if step == "backed up":
                await migrate(database)
                await back_up(database, tmp_path / "b", quiet)
            else:
                await restore(database, tmp_path / "b", "public" if step == "replaced" else None, quiet)
            there.append(await rows(database, but=("corpus",)))
    assert there[0] == there[1] == there[2]


async def test_a_backup_is_of_one_moment_whatever_is_written_meanwhile(
    made: Made, new_database: NewDatabase, tmp_path: Path
) -> None:
    async with connected(made.settings.database_url, made.settings.database_schema) as database:
        stop = asyncio.Event()

        async def write() -> int:
            count = 0
            while not stop.is_set():
                async with database.write() as db:
                    await db.execute(text("INSERT INTO sessions (id, title) VALUES (gen_random_uuid(), 'x')"))
                count += 1
            return count

        writer = asyncio.create_task(write())
        manifest = await back_up(database, tmp_path / "b", quiet)
        stop.set()
        assert await writer > 0
        async with database.write() as db:
            await db.execute(text("DELETE FROM sessions WHERE title = 'x'"))
    assert manifest.tables["sessions"].rows < made.manifest.tables["sessions"].rows + writer.result()
    # What the manifest counted is what the dump holds: restoring compares them.
    await put_back(tmp_path / "b", made.settings.model_copy(update={"database_url": await new_database()}))


async def test_damaged_cut_and_foreign_files_are_refused(made: Made, tmp_path: Path) -> None:
    whole = made.file.read_bytes()
    file = tmp_path / "b"

    def refused(content: bytes, words: str) -> None:
        file.write_bytes(content)
        with pytest.raises(BadInput, match=words):
            read_manifest(file, quiet)

    for length in (1, 40, 5000, len(whole) // 2, len(whole) - 1):
        refused(whole[:length], "not whole|not a backup")
    refused(b"", "not a backup")
    refused(b"PGDMP and so on", "not a backup")
    with zipfile.ZipFile(tmp_path / "zip", "w") as foreign:
        foreign.writestr("word/document.xml", "<xml/>")
    refused((tmp_path / "zip").read_bytes(), "not a backup")
    with pytest.raises(BadInput, match="No such file"):
        read_manifest(tmp_path / "absent", quiet)
    with pytest.raises(BadInput, match="cannot be read"):
        read_manifest(tmp_path, quiet)
    # A single bit: noticed wherever it says anything.
    harmless = 0
    for place in range(0, len(whole), max(1, len(whole) // 150)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            assert read_manifest(file, quiet) == made.manifest
        except BadInput:
            continue
        harmless += 1  # a date in the ZIP's own directory
    assert harmless < 5


async def test_files_of_another_version_or_schema_are_refused_before_anything_is_touched(
    made: Made, elsewhere: Settings, tmp_path: Path
) -> None:
    for number, (changed, words) in enumerate(
        (
            ({"format_version": 2}, "another Dossier"),
            ({"revision": "9999"}, "another Dossier"),
            ({"schema": "somewhere"}, "DATABASE_SCHEMA=somewhere"),
            ({"postgres": 99}, "this server is"),
            ({"format": "other"}, "not a backup"),
        )
    ):
        with pytest.raises(BadInput, match=words):
            await put_back(remade(made, tmp_path / str(number), **changed), elsewhere)
    async with connected(elsewhere.database_url, elsewhere.database_schema) as database:
        assert await tables(database) == []


async def test_what_comes_back_different_is_undone(made: Made, elsewhere: Settings, tmp_path: Path) -> None:
    turns = made.manifest.tables["turns"]
    wrong = {**made.manifest.tables, "turns": replace(turns, digest=str(int(turns.digest) + 1))}
    with pytest.raises(Unavailable, match="turns differs"):
        await put_back(remade(made, tmp_path / "wrong", tables=wrong), elsewhere)
    fewer = {name: told for name, told in made.manifest.tables.items() if name != "headings"}
    with pytest.raises(Unavailable, match="headings"):
        await put_back(remade(made, tmp_path / "fewer", tables=fewer), elsewhere)
    async with connected(elsewhere.database_url, elsewhere.database_schema) as database:
        assert await tables(database) == []


async def test_a_place_that_is_not_empty_is_replaced_only_if_it_is_named(
    made: Made, elsewhere: Settings
) -> None:
    schema = elsewhere.database_schema
    async with open_engine(elsewhere) as engine:
        job = await engine.ingestion.submit([Upload("other.md", b"# Other\n\nSomething else.\n")])
        await engine.ingestion.wait(job.id)
        before = await rows(engine.database, but=("cache_entries", "metrics_history"))
        with pytest.raises(BadInput, match="1 documents, 0 sessions"):
            await put_back(made.file, elsewhere)
        with pytest.raises(BadInput, match="does not name"):
            await put_back(made.file, elsewhere, over="other")
        with pytest.raises(BadInput, match="Stop it first"):
            await put_back(made.file, elsewhere, over=schema)
        assert await rows(engine.database, but=("cache_entries", "metrics_history")) == before
    async with connected(elsewhere.database_url, schema) as database, database.write() as db:
        # As a newer Dossier may have left it.
        await db.execute(text("CREATE TABLE newer (id int)"))
        await db.execute(text("CREATE FUNCTION newer_too() RETURNS int LANGUAGE sql RETURN 1"))
    await put_back(made.file, elsewhere, over=schema)
    async with connected(elsewhere.database_url, schema) as database:
        assert set(await tables(database)) == {*made.manifest.tables, "cache_entries"}
        there = await rows(database)
    assert there["documents"] == made.here["documents"]


async def test_stopping_leaves_nothing_half_done(made: Made, elsewhere: Settings, tmp_path: Path) -> None:
    async def stopped(at: str, work: Callable[[Progress], Awaitable[object]]) -> None:
        def stop(what: str, done: int, total: int) -> None:
            if what == at:
                task.get_loop().call_soon_threadsafe(task.cancel)

        task = asyncio.ensure_future(work(stop))
        with pytest.raises(asyncio.CancelledError):
            await task

    async with connected(made.settings.database_url, made.settings.database_schema) as database:
        await stopped("writing tables", partial(back_up, database, tmp_path / "b"))
    assert list(tmp_path.iterdir()) == []
    async with connected(elsewhere.database_url, elsewhere.database_schema) as database:
        for at in ("checking the file", "restoring", "making indexes", "comparing"):
            await stopped(at, partial(restore, database, made.file, None))
            assert await tables(database) == []
    programs = {process.name() for process in psutil.Process().children()}
    assert programs.isdisjoint({"pg_dump", "pg_restore", "psql"})


async def test_a_backup_needs_a_dossier_a_new_name_and_a_folder(
    made: Made, elsewhere: Settings, tmp_path: Path
) -> None:
    async with connected(elsewhere.database_url, elsewhere.database_schema) as empty:
        with pytest.raises(BadInput, match="no Dossier"):
            await back_up(empty, tmp_path / "b", quiet)
        await migrate(empty)
        (tmp_path / "b").write_text("precious")
        with pytest.raises(BadInput, match="there already"):
            await back_up(empty, tmp_path / "b", quiet)
        with pytest.raises(BadInput, match="No such file"):
            await back_up(empty, tmp_path / "absent" / "b", quiet)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


async def test_the_programs_are_found_and_told_where_to_go() -> None:
    assert find_tools(15).version >= 15
    with pytest.raises(Unavailable, match="of PostgreSQL 99 or newer are needed"):
        find_tools(99)
    told = environment("postgresql+asyncpg://me:s%40cret@db.internal:6000/dossier?ssl=require", "x")
    assert (told["PGHOST"], told["PGPORT"], told["PGUSER"], told["PGPASSWORD"], told["PGSSLMODE"]) == (
        "db.internal",
        "6000",
        "me",
        "s@cret",
        "require",
    )
    assert environment("postgresql+asyncpg://me@/d?host=/run/pg&port=1", "x")["PGHOST"] == "/run/pg"


def remade(made: Made, file: Path, **changed: object) -> Path:
    """The same dump under another manifest."""
    with zipfile.ZipFile(made.file) as old, zipfile.ZipFile(file, "w") as new:
        for name in (DUMP, MANIFEST):
            content = old.read(name)
            if name == MANIFEST:
                content = to_json(json.loads(content) | changed)
            new.writestr(name, content)
    return file
