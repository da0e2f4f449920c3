"""Ingestion: whole documents or nothing, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import unicodedata
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from engine import housekeeping
from engine.documents.jobs import Job, Upload
from engine.documents.queries import DocumentQuery
from engine.engine import Engine
from engine.errors import NotFound
from engine.settings import Settings

from ..conftest import ROOT, OpenEngine

pytestmark = pytest.mark.anyio

LONG = "# Handbook\n\n" + "\n\n".join(
    f"Rule {n}: every request above {n * 100} euros is signed by the head of unit {n}, in writing, "
    "before anything is ordered, and is kept for ten years together with its offers." * 3
    for n in range(180)
)


async def ingest(engine: Engine, *files: Upload) -> Job:
    job = await engine.ingestion.submit(files)
    return await engine.ingestion.wait(job.id)


async def test_a_bad_file_fails_alone_by_name_and_reason(engine: Engine) -> None:
    job = await ingest(
        engine,
        Upload("empty.txt", b""),
        Upload("good.md", b"# Rules\n\nThe door is blue."),
        Upload("not a pdf.pdf", b"PK\x03\x04 something else"),
        Upload("absent.txt", Path("/nowhere/absent.txt")),
    )
    stages = {file.file_name: file.stage for file in job.files}
    assert stages == {
        "empty.txt": "failed",
        "good.md": "done",
        "not a pdf.pdf": "failed",
        "absent.txt": "failed",
    }
    for file in job.files:
        if file.stage == "failed":
            assert file.file_name in file.message
    assert (await engine.documents.statistics()).documents == 1


async def test_a_cancelled_job_leaves_nothing_and_says_so(engine: Engine) -> None:
    job = await engine.ingestion.submit([Upload("long.md", LONG.encode())])
    while (await engine.ingestion.job(job.id)).files[0].stage != "embedding":
        await asyncio.sleep(0.01)
    await engine.ingestion.cancel(job.id)
    job = await engine.ingestion.job(job.id)
    assert job.finished
    assert job.files[0].stage == "cancelled"
    assert (await engine.documents.statistics()).documents == 0


async def test_progress_counts_up_through_the_stages(engine: Engine) -> None:
    job = await engine.ingestion.submit([Upload("long.md", LONG.encode())])
    seen: list[tuple[str, int]] = []
    while not job.finished:
        job = await engine.ingestion.job(job.id)
        seen.append((job.files[0].stage, job.files[0].done))
        await asyncio.sleep(0.005)
    stages = list(dict.fromkeys(stage for stage, _ in seen))
    assert [s for s in ("parsing", "embedding", "done") if s in stages] == ["parsing", "embedding", "done"]
    counts = [done for stage, done in seen if stage == "embedding"]
    assert counts == sorted(counts)
    assert len(set(counts)) > 2


async def test_the_loop_stays_free_while_a_document_is_ingested(engine: Engine) -> None:
    job = await engine.ingestion.submit([Upload("long.md", LONG.encode())])
    lags: list[float] = []
    loop = asyncio.get_running_loop()
    while not job.finished:
        before = loop.time()
        await asyncio.sleep(0)
        lags.append(loop.time() - before)
        await asyncio.sleep(0.01)
        job = await engine.ingestion.job(job.id)
    assert len(lags) > 10
    assert sorted(lags)[int(len(lags) * 0.9)] < 0.1


async def test_two_uploads_of_one_name_at_once_leave_one_document(engine: Engine) -> None:
    texts = [f"# Rule\n\nThe limit is {n} euros." for n in range(4)]
    await asyncio.gather(*(ingest(engine, Upload("rule.md", text.encode())) for text in texts))
    listed = await engine.documents.list(DocumentQuery())
    assert listed.total == 1
    assert listed.rows[0].version == 4
    assert len(await engine.documents.passages(listed.rows[0].id)) == listed.rows[0].passage_count == 1


async def test_diacritics_survive_from_file_to_citation(engine: Engine) -> None:
    decomposed = "Thời hạn nộp hồ sơ dự thầu là mười tám ngày kể từ ngày phát hành."
    await ingest(engine, Upload("quy định.txt", unicodedata.normalize("NFD", decomposed).encode()))
    answer = await engine.ask("Thời hạn nộp hồ sơ dự thầu là bao lâu?")
    assert answer.kind == "quotes"
    assert answer.citations[0].quote == decomposed
    assert decomposed in answer.text


async def test_reindexing_keeps_the_document_and_its_version(engine: Engine) -> None:
    job = await ingest(engine, Upload("rule.md", b"# Rule\n\nThe limit is nine euros."))
    document_id = job.files[0].document_id
    assert document_id is not None
    before = await engine.documents.get(document_id)
    job = await engine.ingestion.wait((await engine.ingestion.reindex([document_id])).id)
    assert job.files[0].stage == "done"
    after = await engine.documents.get(document_id)
    assert (after.version, after.passage_count) == (before.version, before.passage_count)
    assert (await engine.search("what is the limit"))[0].passage.document_id == document_id


async def test_a_title_finds_its_passages_and_a_new_one_does_at_once(engine: Engine) -> None:
    job = await ingest(engine, Upload("travel_policy.txt", b"Meals are refunded up to 45 euros a day."))
    document = await engine.documents.get(job.files[0].document_id or 0)
    assert document.metadata.title == "travel policy"
    assert [c.passage.text for c in await engine.search("travel policy", pipeline="bm25")]

    renamed = replace(document.metadata, title="Quy chế công tác")
    await engine.ingestion.edit(document.id, renamed)
    (reindexing, *_) = await engine.ingestion.jobs()
    await engine.ingestion.wait(reindexing.id)
    found = await engine.search("quy che cong tac", pipeline="bm25")
    assert [c.passage.document_title for c in found] == ["Quy chế công tác"]
    assert not await engine.search("travel policy", pipeline="bm25")

    # Other edits index nothing.
    await engine.ingestion.edit(document.id, replace(renamed, tags=("office",)))
    assert (await engine.ingestion.jobs())[0].id == reindexing.id


async def test_a_new_title_comes_into_the_indexes_though_its_process_dies_first(
    open_test_engine: OpenEngine,
) -> None:
    async with open_test_engine(database_schema="renamed") as engine:
        job = await ingest(engine, Upload("travel_policy.txt", b"Meals are refunded up to 45 euros a day."))
        document = await engine.documents.get(job.files[0].document_id or 0)
        # What `edit` does, up to the moment when indexing would begin.
        await engine.documents.update(document.id, replace(document.metadata, title="Quy chế công tác"))
    async with open_test_engine(database_schema="renamed") as engine, asyncio.timeout(20):
        while not await engine.search("quy che cong tac", pipeline="bm25"):
            await asyncio.sleep(0.05)
        assert not await engine.search("travel policy", pipeline="bm25")


async def test_a_new_title_comes_into_the_indexes_though_indexing_it_failed(
    open_test_engine: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "HOUSEKEEPING_SECONDS", 0.05)
    async with open_test_engine() as engine, asyncio.timeout(20):
        job = await ingest(engine, Upload("travel_policy.txt", b"Meals are refunded up to 45 euros a day."))
        document = await engine.documents.get(job.files[0].document_id or 0)
        await engine.documents.update(document.id, replace(document.metadata, title="Quy chế công tác"))
        while not await engine.search("quy che cong tac", pipeline="bm25"):
            await asyncio.sleep(0.05)


async def test_a_title_given_while_a_new_version_comes_in_loses_neither(engine: Engine) -> None:
    job = await ingest(engine, Upload("rules.md", b"# Rules\n\nThe limit is nine euros."))
    document = await engine.documents.get(job.files[0].document_id or 0)
    newer = LONG[:12_000].encode()
    coming = await engine.ingestion.submit([Upload("rules.md", newer)])
    await until_embedding(engine, coming)
    await engine.ingestion.edit(document.id, replace(document.metadata, title="Quy chế chi tiêu"))
    async with asyncio.timeout(60):
        while not all(job.finished for job in await engine.ingestion.jobs()):
            await asyncio.sleep(0.02)
    assert await engine.documents.file(document.id) == newer
    assert (await engine.documents.get(document.id)).version == 2
    assert await engine.ingestion.behind() == []


async def test_what_is_deleted_while_it_is_indexed_anew_stays_deleted(engine: Engine) -> None:
    job = await ingest(engine, Upload("rules.md", LONG[:12_000].encode()))
    document_id = job.files[0].document_id or 0
    again = await engine.ingestion.reindex([document_id])
    await until_embedding(engine, again)
    await engine.documents.delete([document_id])
    (file,) = (await engine.ingestion.wait(again.id)).files
    assert file.stage == "failed" and "no document" in file.message
    assert await engine.documents.count() == 0


async def until_embedding(engine: Engine, job: Job) -> None:
    async with asyncio.timeout(20):
        while (await engine.ingestion.job(job.id)).files[0].stage != "embedding":
            await asyncio.sleep(0.002)


async def test_an_unknown_job_is_not_found(engine: Engine) -> None:
    with pytest.raises(NotFound):
        await engine.ingestion.job(uuid4())


async def test_documents_of_another_embedder_are_embedded_anew(open_test_engine: OpenEngine) -> None:
    async with open_test_engine(database_schema="changes_embedder") as engine:
        await ingest(engine, Upload("rule.md", b"# Rule\n\nThe limit is nine euros."))
    async with open_test_engine(database_schema="changes_embedder", embedder="all-MiniLM-L6-v2") as engine:
        assert (await engine.search("limit", pipeline="bm25"))[0].passage.text  # words serve at once
        while any(feature.why for feature in await engine.features()):
            await asyncio.sleep(0.02)
        assert len(await engine.search("what is the limit", pipeline="dense")) == 1


def test_a_killed_ingestion_leaves_what_was_committed_and_nothing_half_done(
    tmp_path: Path, home: Path
) -> None:
    """SIGKILL in mid-ingestion, with the database of its own that the app then starts again."""
    own = tmp_path / "home"
    own.mkdir()
    (own / "models").symlink_to(home / "models")
    environment = {
        **{name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields},
        "DOSSIER_HOME": str(own),
        "PYTHONPATH": str(ROOT),
    }
    (tmp_path / "kept.md").write_text("# Kept\n\nThe key is under the mat.")
    (tmp_path / "long.md").write_text(LONG * 5)
    command = [sys.executable, "-m", "engine"]

    def run(*arguments: str) -> dict[str, object]:
        done = subprocess.run(
            [*command, *arguments, "--json"], env=environment, cwd=tmp_path, capture_output=True, timeout=120
        )
        return json.loads(done.stdout)  # type: ignore[no-any-return]

    assert run("ingest", "kept.md")["files"][0]["stage"] == "done"  # type: ignore[index]
    with subprocess.Popen(
        [*command, "ingest", "long.md"], env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "embedding" in line:
                process.kill()
                break
    assert process.returncode == -signal.SIGKILL
    try:
        listed = run("documents")
        assert [d["file_name"] for d in listed["documents"]] == ["kept.md"]  # type: ignore[index,attr-defined]
        answer = run("ask", "Where is the key?")
        assert "under the mat" in str(answer["text"])
    finally:
        marks = own / "postgres" / "postmaster.pid"
        if marks.exists():
            psutil.Process(int(marks.read_text().splitlines()[0])).terminate()
