"""Question sets: from files, from chat, by hand; what is wrong in a file is told by its line."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from engine.access.principal import Principal, acting
from engine.documents.jobs import Upload
from engine.documents.model import DocumentFilter
from engine.documents.queries import DocumentQuery
from engine.engine import Engine
from engine.errors import BadInput, NotAllowed, NotFound
from engine.evaluation import exchange
from engine.evaluation.judging import load_judgments
from engine.evaluation.model import ImportReport, SetQuestion
from tests.conftest import OpenEngine
from tests.openai_server import OpenAIServer, Reply

from .conftest import QUESTIONS, jsonl, packed, questions_on_documents, stock

pytestmark = pytest.mark.anyio

QUERIES = jsonl([{"id": "1", "text": "When does the gate close?"}, {"id": "2", "text": "Giá bao nhiêu?"}])
HEADER = b"query-id\tdoc-id\tscore\n"


def damaged() -> bytes:
    """A zip whose table of contents is whole, and whose content is not."""
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("queries.jsonl", QUERIES * 50)
    content = bytearray(zipped.getvalue())
    content[50:60] = b"\xff" * 10
    return bytes(content)


async def imported(engine: Engine, files: dict[str, bytes], name: str = "Tests") -> ImportReport:
    return await engine.comparison.import_set(name, files)


async def all_questions(engine: Engine, set_id: int) -> list[SetQuestion]:
    return (await engine.comparison.sets.questions(set_id, limit=10_000))[0]


async def test_questions_on_the_documents_that_are_here(engine: Engine) -> None:
    report = await imported(engine, questions_on_documents())
    assert report.problems == ()
    assert (report.set.question_count, report.set.judged_count, report.set.unanswerable_count) == (6, 4, 2)
    assert (report.set.tag, report.set.lost_count) == ("", 0)
    questions = await all_questions(engine, report.set.id)
    assert [question.text for question in questions][:4] == list(QUESTIONS)
    assert questions[0].judgments[0].file_name == "meals.md"


async def test_what_was_imported_is_exported_and_comes_in_again(engine: Engine) -> None:
    corpus = jsonl([{"id": "d1", "title": "Cổng", "text": "The gate\ncloses at 8.\u2028Always."}])
    queries = jsonl([{"id": "1", "text": "When does it close?", "answers": ["8"], "answerable": True}])
    files = packed(corpus=corpus, queries=queries, qrels=HEADER + b"1\td1\t2\n")
    first = await imported(engine, files)
    zipped = await engine.comparison.export_set(first.set.id)
    with zipfile.ZipFile(io.BytesIO(zipped)) as file:
        held = {name: file.read(name) for name in file.namelist()}
    assert [json.loads(line) for line in held["corpus.jsonl"].decode().split("\n") if line] == [
        json.loads(line) for line in corpus.decode().split("\n") if line
    ]
    assert json.loads(held["queries.jsonl"]) == json.loads(queries)
    assert held["qrels.tsv"] == HEADER + b"1\td1\t2\n"
    again = await imported(engine, {"set.zip": zipped})
    assert again.problems == () and again.set.record_count == 1


async def test_a_corpus_of_its_own_is_added_under_a_tag_and_found_again(engine: Engine) -> None:
    corpus = jsonl(
        [
            {"id": f"r{n}", "title": f"Animal {n}", "text": f"The animal number {n} eats leaves."}
            for n in range(5)
        ]
    )
    queries = jsonl([{"id": "1", "text": "What does animal number 3 eat?"}])
    report = await imported(engine, packed(corpus=corpus, queries=queries, qrels=HEADER + b"1\tr3\t1\n"))
    assert (report.set.record_count, report.set.missing_count) == (5, 5)
    await engine.comparison.documents.add(report.set.id)
    told = await engine.comparison.documents.wait(report.set.id)
    assert told is not None and (told.done, told.total, told.error) == (5, 5, "")
    now = await engine.comparison.sets.get(report.set.id)
    assert (now.missing_count, now.lost_count) == (0, 0)
    # Nothing is added twice.
    await engine.comparison.documents.add(report.set.id)
    told = await engine.comparison.documents.wait(report.set.id)
    assert told is not None and told.total == 0
    run = await engine.comparison.runs.start(report.set.id, ["none", "built-in"])
    await engine.comparison.runs.wait(run.id)
    figures = await engine.comparison.runs.report([run.id])
    assert figures.judged == 1 and figures.reachable == 1.0
    with pytest.raises(BadInput, match="documents of its own"):
        await engine.comparison.sets.add_from_chat(report.set.id)


async def test_a_document_without_a_title_is_called_by_its_first_words(engine: Engine) -> None:
    text = "Hồ sơ dự thầu có hiệu lực chín mươi ngày kể từ thời điểm đóng thầu, nếu không có quy định khác."
    corpus = jsonl([{"id": "r1", "title": "", "text": f"{text}\n\nVà được gia hạn."}])
    queries = jsonl([{"id": "1", "text": "Hồ sơ dự thầu có hiệu lực bao lâu?"}])
    report = await imported(engine, packed(corpus=corpus, queries=queries, qrels=HEADER + b"1\tr1\t1\n"))
    await engine.comparison.documents.add(report.set.id)
    await engine.comparison.documents.wait(report.set.id)
    [document] = (await engine.documents.list(DocumentQuery(DocumentFilter(text="hiệu lực")))).rows
    assert document.metadata.title == text[:80].rpartition(" ")[0]


async def test_each_wrong_line_is_told_and_costs_only_itself(engine: Engine) -> None:
    queries = (
        QUERIES
        + b'{"id": "2", "text": "Again?"}\nnot json\n[1]\n{"text": "No id?"}\n{"id": "5", "text": " "}\n'
    )
    qrels = HEADER + (
        b"1\tgate.md\t1\n1\tgate.md\t1\n1\tgate.md\t0\n9\tgate.md\t1\n2\tnowhere.md\t1\n2\tmeals.md\tmuch\n2\n"
    )
    report = await imported(engine, {"queries.jsonl": queries, "qrels.tsv": qrels})
    assert report.set.question_count == 2
    assert report.set.lost_count == 1
    told = "\n".join(report.problems)
    for line in (
        "queries.jsonl, line 3: “2” is there twice",
        "queries.jsonl, line 4: not JSON",
        "queries.jsonl, line 5: not a JSON object",
        "queries.jsonl, line 6: no “id”",
        "queries.jsonl, line 7: “5” has no question",
        "qrels.tsv, line 3: “gate.md” is judged twice for “1”.",
        "qrels.tsv, line 4: “gate.md” is judged twice for “1” with 1, which counts",
        "qrels.tsv, line 5: there is no question “9”",
        "qrels.tsv, line 6: “nowhere.md” is not among the documents; it counts as not found",
        "qrels.tsv, line 7: expected query-id, doc-id and a whole score",
        "qrels.tsv, line 8: expected query-id, doc-id and a whole score",
    ):
        assert line in told
    assert len(report.problems) == 11
    first, second = await all_questions(engine, report.set.id)
    assert [(j.file_name, j.gain) for j in first.judgments] == [("gate.md", 1)]
    assert [j.file_name for j in second.judgments] == ["nowhere.md"]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "no question set"),
        ({"notes.txt": b"hello"}, "notes.txt"),
        ({"queries.jsonl": b""}, "no question in queries.jsonl"),
        ({"queries.jsonl": b"\n\nnot json\n"}, "line 3: not JSON"),
        ({"qrels.tsv": HEADER}, "no queries.jsonl"),
        ({"queries.jsonl": '{"id": 1, "text": "é"}\n'.encode("latin-1")}, "queries.jsonl, line 1: not UTF-8"),
        ({"queries.jsonl": QUERIES.decode().encode("utf-16")}, "queries.jsonl, line 1: not UTF-8"),
        ({"set.zip": b"PK\x03\x04 broken"}, "no question set"),
        ({"set.zip": damaged()}, "set.zip cannot be unpacked"),
        ({"queries.jsonl": b"[" * 200_000}, "nested too deeply"),
    ],
)
async def test_what_is_no_set_is_refused_and_leaves_nothing(
    engine: Engine, files: dict[str, bytes], told: str
) -> None:
    before = await engine.comparison.sets.list()
    with pytest.raises(BadInput, match=told):
        await imported(engine, files)
    assert await engine.comparison.sets.list() == before


async def test_a_set_that_is_too_large_is_refused(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("queries.jsonl", b" " * 30_000_000)
    monkeypatch.setattr(exchange, "MOST_BYTES", 10_000_000)
    with pytest.raises(BadInput, match="more than 10 MB"):
        await imported(engine, {"set.zip": bomb.getvalue()})
    many = jsonl([{"id": n, "text": f"Question {n}?"} for n in range(120)])
    monkeypatch.setattr(exchange, "MOST_QUESTIONS", 100)
    with pytest.raises(BadInput, match="120 questions"):
        await imported(engine, {"queries.jsonl": many})


async def test_what_postgresql_cannot_hold_is_left_out(engine: Engine) -> None:
    queries = b'{"id": "1", "text": "When\\u0000 does it close?", "note": ["a\\u0000b", "\\ud800"]}\n'
    report = await imported(engine, {"queries.jsonl": queries})
    (question,) = await all_questions(engine, report.set.id)
    assert question.text == "When does it close?"


async def test_what_cannot_be_asked_or_kept_is_told_and_costs_only_itself(engine: Engine) -> None:
    unlike = "".join(map(str, range(2_000)))
    queries = QUERIES + jsonl(
        [{"id": "long", "text": "why " * 25_000}, {"id": unlike, "text": "Whose id is this?"}]
    )
    qrels = HEADER + f"1\tgate.md\t1\n2\t{unlike}\t1\n".encode()
    report = await imported(engine, {"queries.jsonl": queries, "qrels.tsv": qrels})
    assert report.set.question_count == 2
    told = "\n".join(report.problems)
    assert "queries.jsonl, line 3: “long” cannot be asked. The question has" in told
    assert "queries.jsonl, line 4: its “id” has 6,890 characters" in told
    assert "qrels.tsv, line 3: its doc-id has 6,890 characters" in told


async def test_a_set_may_have_more_questions_than_a_statement_has_parameters(engine: Engine) -> None:
    report = await imported(engine, questions_on_documents())
    ids = [question.id for question in await all_questions(engine, report.set.id)]
    async with engine.database.read() as db:
        judged = await load_judgments(db, [*ids, *range(10**6, 10**6 + exchange.MOST_QUESTIONS)])
    assert judged.keys() == {*ids[:4]}


async def test_liked_answers_become_questions(engine: Engine) -> None:
    session = await engine.sessions.create()
    for question, vote in (("When does the gate close?", "up"), ("Who lends books?", "down")):
        await engine.ask(question, session_id=session.id)
        turn = (await engine.sessions.turns(session.id))[-1]
        await engine.sessions.vote(turn.id, vote)  # type: ignore[arg-type]
    made = await engine.comparison.sets.create("From chat")
    assert await engine.comparison.sets.add_from_chat(made.id) == 1
    assert await engine.comparison.sets.add_from_chat(made.id) == 0
    (question,) = await all_questions(engine, made.id)
    assert question.text == "When does the gate close?"
    assert "gate.md" in {judgment.file_name for judgment in question.judgments}


async def test_a_liked_answer_without_a_source_is_said_to_be_of_no_use(open_test_engine: OpenEngine) -> None:
    with OpenAIServer() as model:
        model.default = Reply("Nobody cites here.")
        async with open_test_engine(openai_api_key="test", openai_base_url=model.url) as engine:
            await stock(engine)
            with pytest.raises(BadInput, match="No answer has a thumb up"):
                await engine.comparison.sets.from_chat("From chat")
            session = await engine.sessions.create()
            await engine.ask("When does the gate close?", session_id=session.id)
            await engine.sessions.vote((await engine.sessions.turns(session.id))[-1].id, "up")
            with pytest.raises(BadInput, match="cites a passage"):
                await engine.comparison.sets.from_chat("From chat")
            assert await engine.comparison.sets.list() == []


async def test_chats_of_others_are_not_looked_into(open_test_engine: OpenEngine) -> None:
    ann, ben = (Principal(name, name, "admin", everywhere=True) for name in ("ann", "ben"))
    async with open_test_engine(access_control=True) as engine:
        with acting(ann):
            await stock(engine)
            session = await engine.sessions.create()
            await engine.ask("When does the gate close?", session_id=session.id)
            await engine.sessions.vote((await engine.sessions.turns(session.id))[-1].id, "up")
        for who, found in ((ben, 0), (ann, 1)):
            with acting(who):
                made = await engine.comparison.sets.create("From chat")
                assert await engine.comparison.sets.add_from_chat(made.id) == found
        with acting(Principal("cy", "cy", "reader")), pytest.raises(NotAllowed):
            await engine.comparison.sets.list()


async def test_judgments_by_hand_outlive_a_new_indexing(engine: Engine) -> None:
    await engine.ingestion.wait(
        (await engine.ingestion.submit([Upload("pets.md", b"# Pets\n\nDogs stay out.")])).id
    )
    made = await engine.comparison.sets.create("By hand")
    question = "May dogs come in?"
    passage = (await engine.search(question, k=1))[0].passage
    await engine.comparison.sets.judge(made.id, question, passage, 1)
    await engine.ingestion.wait((await engine.ingestion.reindex([passage.document_id])).id)
    again = (await engine.search(question, k=1))[0].passage
    assert again.id != passage.id
    assert (await engine.comparison.sets.get(made.id)).lost_count == 0
    run = await engine.comparison.runs.start(made.id, ["none"])
    await engine.comparison.runs.wait(run.id)
    (arm,) = (await engine.comparison.runs.report([run.id])).arms
    assert arm.ndcg is not None and arm.ndcg.mean == 1.0

    # Taken back, and marked as unanswerable.
    await engine.comparison.sets.judge(made.id, question, again, None)
    found = await engine.comparison.sets.find(made.id, question)
    assert found is not None and found.judgments == ()
    await engine.comparison.sets.judge_all(made.id, question, [again], [])
    assert (await engine.comparison.sets.get(made.id)).unanswerable_count == 1

    await engine.documents.delete([passage.document_id])
    await engine.comparison.sets.judge(made.id, question, again, 1)  # its document is gone
    assert (await engine.comparison.sets.get(made.id)).judged_count == 0


async def test_what_is_shown_is_judged_at_once(engine: Engine) -> None:
    sets = engine.comparison.sets
    question = "When does the gate close?"
    first, second, *_ = (c.passage for c in await engine.search(question, k=3))
    made = await sets.judge_all(None, question, [first, second], [first])
    assert (await sets.get(made)).name.startswith("My questions")
    await sets.judge(made, question, first, 3)  # a gain given by an import
    await sets.judge_all(made, question, [first, second], [first, second])
    assert await _judged(engine, made, question) == {first.content_hash: 3, second.content_hash: 1}
    await sets.judge_all(made, question, [first, second], [second])
    assert await _judged(engine, made, question) == {second.content_hash: 1}
    # Nothing answers it: what was judged before does not bring it back among the answerable.
    await sets.judge_all(made, question, [first, second], [])
    assert await _judged(engine, made, question) == {}
    assert (await sets.get(made)).unanswerable_count == 1
    with pytest.raises(BadInput):
        await sets.judge_all(None, "…", [first], [first])


async def _judged(engine: Engine, set_id: int, question: str) -> dict[str, int]:
    found = await engine.comparison.sets.find(set_id, question)
    assert found is not None
    return {judgment.content_hash: judgment.gain for judgment in found.judgments}


async def test_deleting_is_undone(engine: Engine) -> None:
    made = await engine.comparison.sets.create("Doomed, but not yet")
    assert made.name == "Doomed but not yet"
    await engine.comparison.sets.delete(made.id)
    with pytest.raises(NotFound):
        await engine.comparison.sets.get(made.id)
    other = await engine.comparison.sets.create("Doomed but not yet")
    assert other.name == made.name
    await engine.comparison.sets.restore(made.id)
    assert (await engine.comparison.sets.get(made.id)).name == "Doomed but not yet (2)"
    with pytest.raises(BadInput):
        await engine.comparison.sets.rename(made.id, other.name)
    with pytest.raises(BadInput):
        await engine.comparison.sets.create("  ")
    await engine.comparison.sets.delete(made.id)
    await engine.comparison.sets.purge(0)
    with pytest.raises(NotFound):
        await engine.comparison.sets.restore(made.id)
