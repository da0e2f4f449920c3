"""Runs: measured as `evaluate` measures, stopped, killed, gone on with, compared, and out of users' way."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.engine import Engine
from engine.errors import BadInput, NotFound
from engine.evaluation import runs as runs_module
from engine.evaluation.model import RunSummary
from engine.evaluation.report import holm, make_report
from engine.evaluation.significance import bootstrap_mean, paired_p_value, risk_coverage
from engine.settings import Settings
from tests.conftest import ROOT, OpenEngine
from tests.rerank_server import RerankServer, Scripted

from .conftest import jsonl, questions_on_documents, stock

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def set_id(engine: Engine) -> int:
    return (await engine.comparison.import_set("Handbook", questions_on_documents())).set.id


async def finished(engine: Engine, set_id: int, *rerankers: str, name: str = "") -> RunSummary:
    run = await engine.comparison.runs.start(set_id, rerankers, name)
    return await engine.comparison.runs.wait(run.id)


async def test_a_run_measures_all_rerankers_on_all_questions(engine: Engine, set_id: int) -> None:
    run = await finished(engine, set_id, "none", "built-in", "remote", name="First look")
    assert (run.status, run.done, run.total, run.name) == ("done", 6, 6, "First look")
    report = await engine.comparison.runs.report([run.id])
    assert (report.questions, report.judged, report.reachable) == (6, 4, 1.0)
    none, built_in, remote = report.arms
    assert built_in.ndcg is not None and built_in.ndcg.mean == 1.0 and built_in.ndcg.low == 1.0
    # This server ranks by a number in the text, which has nothing to do with the question.
    assert remote.ndcg is not None and remote.ndcg.mean < 1.0
    assert built_in.p95_ms >= built_in.p50_ms > 0
    assert none.cost_usd == built_in.cost_usd == 0.0 and built_in.failures == 0
    pair = next(pair for pair in report.pairs if (pair.a, pair.b) == (1, 2))
    assert pair.difference > 0 and pair.wins + pair.losses + pair.ties == 4
    assert 0 < pair.p_value <= 1
    rows = await engine.comparison.runs.questions((run.id, "built-in"), (run.id, "remote"))
    assert len(rows) == 4 and abs(rows[0].a - rows[0].b) >= abs(rows[-1].a - rows[-1].b)


async def test_figures_are_those_of_evaluate(
    open_test_engine: OpenEngine, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    from engine.evaluation.collection import read_collection
    from engine.evaluation.evaluate import evaluate

    topics = (
        "apples grow on trees",
        "boats cross the lake",
        "boats are painted in spring",
        "apples are picked",
    )
    records = [{"id": f"r{n}", "title": "", "text": f"In year {n}: {topics[n % 4]}."} for n in range(24)]
    queries = [
        {"id": f"q{n}", "text": f"What happened to {w}?"} for n, w in enumerate(("apples", "boats", "trees"))
    ]
    qrels = "query-id\tdoc-id\tscore\n" + "".join(f"q{n % 3}\tr{n}\t{1 + n % 2}\n" for n in range(0, 24, 2))
    files = {"corpus.jsonl": jsonl(records), "queries.jsonl": jsonl(queries), "qrels.tsv": qrels.encode()}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    expected = await evaluate(make_settings(), read_collection(tmp_path), ["hybrid", "hybrid+built-in"])
    async with open_test_engine() as engine:
        report = await engine.comparison.import_set("Years", files)
        await engine.comparison.documents.add(report.set.id)
        await engine.comparison.documents.wait(report.set.id)
        run = await finished(engine, report.set.id, "none", "built-in")
        arms = (await engine.comparison.runs.report([run.id])).arms
    for arm, pipeline in zip(arms, ("hybrid", "hybrid+built-in"), strict=True):
        assert arm.ndcg is not None and arm.mrr is not None
        assert arm.ndcg.mean == pytest.approx(expected.pipelines[pipeline]["ndcg@10"], abs=1e-4)
        assert arm.mrr.mean == pytest.approx(expected.pipelines[pipeline]["mrr@10"], abs=1e-4)


async def test_a_reranker_that_fails_in_the_middle_is_counted_and_the_run_goes_on(
    own_engine: Engine, rerank_server: RerankServer
) -> None:
    set_id = (await own_engine.comparison.import_set("Handbook", questions_on_documents())).set.id
    rerank_server.script()
    run = await own_engine.comparison.runs.start(set_id, ["none", "remote"])
    assert await rerank_server.arrived()
    rerank_server.always = Scripted(status=500)
    run = await own_engine.comparison.runs.wait(run.id)
    assert (run.status, run.done) == ("done", 6)
    none, remote = (await own_engine.comparison.runs.report([run.id])).arms
    assert 1 <= remote.failures <= 6 and none.failures == 0
    assert remote.ndcg is not None


async def test_a_run_goes_on_without_a_reranker_whose_model_cannot_load(
    open_test_engine: OpenEngine, tmp_path: Path
) -> None:
    async with open_test_engine(bge_model_name=str(tmp_path)) as engine:
        await stock(engine)
        set_id = (await engine.comparison.import_set("Handbook", questions_on_documents())).set.id
        runs = engine.comparison.runs
        failed = await finished(engine, set_id, "none", "built-in", "cascade")  # of built-in and bge
        assert failed.status == "failed" and str(tmp_path) in failed.error
        with pytest.raises(BadInput, match="cascade cannot serve"):
            await runs.resume(failed.id)
        with pytest.raises(BadInput, match="No reranker"):
            await runs.resume(failed.id, without=failed.rerankers)
        await runs.resume(failed.id, without=["cascade"])
        done = await runs.wait(failed.id)
        assert (done.status, done.done, done.name) == ("done", 6, "none against built-in")
        assert [arm.reranker for arm in (await runs.report([done.id])).arms] == ["none", "built-in"]


async def test_a_cancelled_run_keeps_what_it_has_and_goes_on(
    engine: Engine, set_id: int, rerank_server: RerankServer
) -> None:
    rerank_server.script()
    rerank_server.always = Scripted(hang=True)
    run = await engine.comparison.runs.start(set_id, ["remote"])
    assert await rerank_server.arrived()
    run = await engine.comparison.runs.cancel(run.id)
    assert run.status == "cancelled" and run.done < run.total
    rerank_server.reset()
    await engine.comparison.runs.resume(run.id)
    run = await engine.comparison.runs.wait(run.id)
    assert (run.status, run.done) == ("done", 6)


async def test_what_is_measured_is_not_measured_again(
    engine: Engine, set_id: int, rerank_server: RerankServer
) -> None:
    run = await engine.comparison.runs.start(set_id, ["remote"])
    async with asyncio.timeout(20):
        while (await engine.comparison.runs.get(run.id)).done < 2:
            await asyncio.sleep(0.005)
    run = await engine.comparison.runs.cancel(run.id)
    before = run.done
    assert before >= 2
    rerank_server.script()
    await engine.comparison.runs.resume(run.id)
    await engine.comparison.runs.wait(run.id)
    # One more to warm up, if anything was left.
    assert len(rerank_server.asked) == (6 - before) + (before < 6)


async def test_another_process_can_cancel_and_a_closed_one_leaves_its_run_to_others(
    open_test_engine: OpenEngine,
    engine: Engine,
    set_id: int,
    rerank_server: RerankServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runs_module, "CLAIM_SECONDS", 0.5)
    rerank_server.script()
    rerank_server.always = Scripted(hang=True)
    own = {"database_schema": engine.database.schema, "reranker_url": rerank_server.address}
    async with open_test_engine(**own) as other:
        run = await other.comparison.runs.start(set_id, ["remote"])
        assert await rerank_server.arrived()
        assert (await engine.comparison.runs.get(run.id)).status == "running"
        assert (await engine.comparison.runs.cancel(run.id)).status == "cancelled"
        assert (await other.comparison.runs.wait(run.id)).status == "cancelled"
        await other.comparison.runs.resume(run.id)
    assert (await engine.comparison.runs.get(run.id)).status == "interrupted"
    rerank_server.reset()
    await engine.comparison.runs.resume(run.id)
    assert (await engine.comparison.runs.wait(run.id)).status == "done"


_KILLED = """
import asyncio, sys
from engine.engine import open_engine
from engine.evaluation import runs
from engine.settings import load_settings

runs.CLAIM_SECONDS = 1.0

async def main():
    async with open_engine(load_settings(_env_file=None)) as engine:
        run = await engine.comparison.runs.start(int(sys.argv[1]), ["none", "remote"], "Killed")
        while (await engine.comparison.runs.get(run.id)).done < 2:
            await asyncio.sleep(0.005)
        print(run.id, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_killed_process_loses_nothing(
    engine: Engine, set_id: int, rerank_server: RerankServer
) -> None:
    settings = engine.settings
    environment = {
        **os.environ,
        "DOSSIER_HOME": str(settings.dossier_home),
        "DATABASE_URL": settings.database_url,
        "DATABASE_SCHEMA": settings.database_schema,
        "RERANKER_URL": rerank_server.address,
    }
    command = [sys.executable, "-c", _KILLED, str(set_id)]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    run_id = int(await process.stdout.readline())
    process.kill()
    await process.wait()
    async with asyncio.timeout(10):
        while (run := await engine.comparison.runs.get(run_id)).status == "running":
            await asyncio.sleep(0.05)
    assert run.status in ("interrupted", "done") and run.done >= 2
    if run.status == "interrupted":
        await engine.comparison.runs.resume(run_id)
        run = await engine.comparison.runs.wait(run_id)
    assert (run.status, run.done) == ("done", 6)


async def test_runs_make_way_for_questions(
    engine: Engine, set_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_module, "YIELD_SECONDS", 60.0)
    with engine._asker._traces.question("One that takes its time", "fast"):  # as a user's
        run = await engine.comparison.runs.start(set_id, ["none"])
        await engine.ask("When does the gate close?")
        assert (await engine.comparison.runs.get(run.id)).done == 0
    assert (await engine.comparison.runs.wait(run.id)).done == 6


async def test_runs_over_one_set_are_compared_with_each_other(engine: Engine, set_id: int) -> None:
    one = await finished(engine, set_id, "none", name="Before")
    two = await finished(engine, set_id, "built-in", name="After")
    report = await engine.comparison.runs.report([one.id, two.id])
    assert [(arm.run_id, arm.reranker) for arm in report.arms] == [(one.id, "none"), (two.id, "built-in")]
    assert len(report.pairs) == 1 and report.questions == 6
    other = (await engine.comparison.import_set("Other", questions_on_documents())).set
    three = await finished(engine, other.id, "none")
    with pytest.raises(BadInput, match="same question set"):
        await engine.comparison.runs.report([one.id, three.id])


async def test_a_report_is_of_the_questions_that_are_in_the_set_now(engine: Engine) -> None:
    sets, runs = engine.comparison.sets, engine.comparison.runs
    set_id = (await engine.comparison.import_set("Changing", questions_on_documents())).set.id
    run = await finished(engine, set_id, "none", "built-in")
    questions = {question.key: question.id for question in (await sets.questions(set_id))[0]}
    before = await runs.report([run.id])
    assert (await runs.report([run.id])).arms[0] is before.arms[0]  # worked out once
    await sets.remove_question(questions["u1"])
    report = await runs.report([run.id])
    assert (report.questions, report.judged) == (5, 4)
    await sets.restore_question(questions["u1"])
    await sets.remove_question(questions["q0"])
    report = await runs.report([run.id])
    assert (report.questions, report.judged) == (5, 3)
    assert len(await runs.questions((run.id, "none"), (run.id, "built-in"))) == 3
    assert len(await runs.questions((run.id, "none"), (run.id, "built-in"), limit=1)) == 1
    await sets.remove_question(questions["u2"])
    await sets.remove_question(questions["u1"])
    assert (await runs.report([run.id])).arms[0].risk == ()


async def test_the_interval_of_a_difference_is_that_of_its_questions() -> None:
    draw = np.random.default_rng(3)
    ndcg = {"none": draw.random(300), "built-in": draw.random(300)}
    rows: list[Any] = [
        SimpleNamespace(
            run_id=1,
            question_id=n,
            reranker=name,
            answerable=n % 3 > 0,
            ndcg=float(value),
            mrr=1.0,
            recall=1.0,
            reachable=1.0,
            confidence=float(value),
            milliseconds=1.0,
            cost_usd=None,
            error="",
        )
        for name, values in ndcg.items()
        for n, value in enumerate(values)
    ]
    summary = RunSummary(1, "", 1, "", tuple(ndcg), "done", 300, 300, datetime.now(UTC), None)
    report = make_report([summary], rows)
    (pair,) = report.pairs
    expected = bootstrap_mean((ndcg["none"] - ndcg["built-in"]).tolist())
    assert (pair.difference, pair.low, pair.high) == pytest.approx(
        (expected.mean, expected.low, expected.high)
    )
    assert pair.p_value == pytest.approx(paired_p_value([*ndcg["none"]], [*ndcg["built-in"]]))
    # Thinned to a point a thousandth, the curve tells the same of every threshold on the page.
    exact = risk_coverage([n % 3 > 0 for n in range(300)], [*ndcg["none"]])
    for threshold in (0.0, 0.29, 0.5, 0.725, 0.995):
        told, wanted = (
            [(p.coverage, p.risk) for p in points if p.threshold >= threshold][-1:]
            for points in (report.arms[0].risk, exact)
        )
        assert told == wanted


async def test_risk_falls_with_the_threshold_and_the_chosen_one_is_in_force(
    engine: Engine, set_id: int, open_test_engine: OpenEngine
) -> None:
    run = await finished(engine, set_id, "built-in")
    (arm,) = (await engine.comparison.runs.report([run.id])).arms
    points = arm.risk
    assert points[-1].coverage == 1.0 and points[-1].risk == pytest.approx(2 / 6)
    assert points[0].risk == 0.0 and points[0].threshold > points[-1].threshold
    question = "How much is refunded for meals abroad?"
    assert (await engine.ask(question)).kind == "quotes"
    async with open_test_engine(database_schema=engine.database.schema) as other:
        await other.ask(question)
        await engine.operations.choose("answer threshold", "1")
        assert (await engine.ask(question)).kind == "no_answer"
        async with asyncio.timeout(5):
            while (await other.ask(question)).kind != "no_answer":
                await asyncio.sleep(0.1)
        features = {feature.name: feature for feature in await other.features()}
        assert features["answer threshold"].effective == "1" and features["answer threshold"].why
    await engine.operations.choose("answer threshold", None)
    assert (await engine.ask(question)).kind == "quotes"
    with pytest.raises(BadInput):
        await engine.operations.choose("answer threshold", "high")


async def test_what_cannot_be_run_is_refused(engine: Engine, set_id: int) -> None:
    runs = engine.comparison.runs
    with pytest.raises(BadInput, match="openai cannot serve"):
        await runs.start(set_id, ["none", "openai"])
    with pytest.raises(BadInput, match="no-such"):
        await runs.start(set_id, ["no-such"])
    with pytest.raises(BadInput, match="No reranker"):
        await runs.start(set_id, [])
    with pytest.raises(NotFound):
        await runs.start(10**6, ["none"])
    empty = await engine.comparison.sets.create("Empty")
    with pytest.raises(BadInput, match="no questions"):
        await runs.start(empty.id, ["none"])
    with pytest.raises(NotFound):
        await runs.get(10**6)


async def test_a_deleted_run_comes_back(engine: Engine, set_id: int) -> None:
    run = await finished(engine, set_id, "none", name="Gone")
    await engine.comparison.runs.delete(run.id)
    assert run.id not in {one.id for one in await engine.comparison.runs.list(set_id)}
    await engine.comparison.runs.restore(run.id)
    await engine.comparison.runs.rename(run.id, "Back")
    assert (await engine.comparison.runs.get(run.id)).name == "Back"
    with pytest.raises(NotFound):
        await engine.comparison.runs.restore(10**6)


def test_p_values_of_several_pairs_are_corrected() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []
