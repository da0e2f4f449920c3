"""Question sets are shared by operators: what they hold of a hidden document, only its readers see."""

from __future__ import annotations

import hashlib
import io
import zipfile

import pytest

from engine.access.principal import SYSTEM, acting
from engine.engine import Engine
from tests.conftest import OpenEngine
from tests.evaluation.conftest import jsonl, packed

from .conftest import join
from .test_audit import events
from .test_collections import OPEN_TEXT, QUESTION, SECRET, put

pytestmark = pytest.mark.anyio

MEALS = "What is refunded for meals?"
HIDDEN = ("zephyr", "Zephyr", "90 million")


async def test_a_set_shows_and_exports_only_what_its_reader_may_read(open_test_engine: OpenEngine) -> None:
    async with open_test_engine(access_control=True) as engine:
        anna, olga = await join(engine, "anna", "admin"), await join(engine, "olga", "operator")
        with acting(SYSTEM):
            board = await engine.entrance.collections.create("Board", members=["anna"])
        travel = await put(engine, anna, "travel.md", OPEN_TEXT)
        secret = await put(engine, anna, "zephyr.md", SECRET, board)
        with acting(anna):
            sets = engine.comparison.sets
            made = (await sets.create("Ours")).id
            for question, document in ((QUESTION, secret), (MEALS, travel)):
                await sets.judge(made, question, (await engine.documents.passages(document))[0], 1)
        with acting(olga):
            questions, total = await engine.comparison.sets.questions(made)
            assert total == 2 and not any(word in repr(questions) for word in HIDDEN)
            assert [[j.file_name for j in question.judgments] for question in questions] == [
                [],
                ["travel.md"],
            ]
            found = await engine.comparison.sets.find(made, QUESTION)
            assert found is not None and found.judgments == ()
            shown = await engine.comparison.export_set(made)
            assert not any(word in content for word in HIDDEN for content in unpacked(shown))
            assert any("travel.md" in content for content in unpacked(shown))
        with acting(anna):
            assert any(
                "90 million" in content for content in unpacked(await engine.comparison.export_set(made))
            )
            (first, _), _ = await engine.comparison.sets.questions(made)
            assert first.judgments[0].file_name == "zephyr.md"
        exported = [(e.who, e.subject) for e in await events(engine, action="export")]
        assert exported == [("anna", f"question set {made}"), ("olga", f"question set {made}")]


async def test_files_of_a_set_find_nothing_that_their_sender_may_not_read(
    open_test_engine: OpenEngine,
) -> None:
    """By no name, title, hash or text that was guessed right."""
    async with open_test_engine(access_control=True) as engine:
        anna, olga = await join(engine, "anna", "admin"), await join(engine, "olga", "operator")
        with acting(SYSTEM):
            board = await engine.entrance.collections.create("Board", members=["anna"])
        secret = await put(engine, anna, "zephyr.md", SECRET, board)
        with acting(anna):
            passage = (await engine.documents.passages(secret))[0]
        ids = ("zephyr.md", "Project Zephyr", f"zephyr.md#{passage.content_hash[:12]}")
        qrels = "query-id\tdoc-id\tscore\n" + "".join(f"1\t{i}\t1\n" for i in ids)
        guessed = packed(queries=jsonl([{"id": "1", "text": QUESTION}]), qrels=qrels.encode())
        nothing = packed(
            queries=jsonl([{"id": "1", "text": QUESTION}]), qrels=qrels.replace("ephyr", "ephir").encode()
        )
        with acting(olga):
            sets = [await engine.comparison.import_set("Guessed", files) for files in (guessed, nothing)]
            told = [
                repr((s.problems, s.set.lost_count, s.set.missing_count)).replace("ephir", "ephyr")
                for s in sets
            ]
            assert told[0] == told[1]  # what is hidden is as what does not exist
            questions, _ = await engine.comparison.sets.questions(sets[0].set.id)
            assert all(j.title == j.text == "" for question in questions for j in question.judgments)
        record = {"id": "a", "title": "Mine", "text": passage.text}
        assert hashlib.sha256(passage.text.encode()).hexdigest() == passage.content_hash
        copied = packed(
            corpus=jsonl([record]),
            queries=jsonl([{"id": "1", "text": QUESTION}]),
            qrels=b"query-id\tdoc-id\tscore\n1\ta\t1\n",
        )
        with acting(olga):
            report = await engine.comparison.import_set("Copied", copied)
            assert report.set.record_count == 1  # its own, not the hidden one
        with acting(anna):
            report = await engine.comparison.import_set("Copied", copied)
            assert report.set.record_count == 0 and report.set.lost_count == 0


async def test_what_is_compared_and_downloaded_is_recorded(guarded: Engine) -> None:
    root = await join(guarded, "c-root", "admin")
    document = await put(
        guarded, root, "compared.md", OPEN_TEXT + "\nA content of its own, to be compared.\n"
    )
    with acting(root):
        async for _ in guarded.comparison.stream(MEALS, ["none"]):
            pass
        assert b"of its own" in await guarded.documents.download(document)
    told = [(e.action, e.subject) for e in await events(guarded, who="c-root")][:2]
    assert told == [("download", f"documents {document}"), ("search", "")]
    (searched,) = await events(guarded, who="c-root", action="search")
    assert str(document) in searched.outcome


def unpacked(zipped: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(zipped)) as file:
        return [file.read(name).decode() for name in file.namelist()]
