"""Metrics over time: kept in PostgreSQL, in three grains, bounded, whatever becomes of a process."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Histogram
from sqlalchemy import func, select

from engine.engine import Engine
from engine.errors import DatabaseUnavailable
from engine.observability import history as module
from engine.observability import remote
from engine.observability.history import KEPT, WINDOWS, History, Window
from engine.observability.metrics import DURATIONS
from engine.observability.series import Bucket, Recorded, flatten
from engine.storage.embedded import embedded_postgres
from engine.storage.tables import metrics_history
from tests.conftest import OpenEngine

pytestmark = pytest.mark.anyio

QUARTER = WINDOWS["15 min"]
# Far from now, where the engine's own history writes; at the beginning of ten minutes.
LONG_AGO = (time.time() - 3 * 3600) // 600 * 600


@pytest.fixture(scope="module")
async def engine(open_test_engine: OpenEngine) -> AsyncIterator[Engine]:
    async with open_test_engine() as opened:
        yield opened


def history_of(engine: Engine, process: str = "one:1") -> History:
    """A process of its own, whose clock the test turns."""
    history = History(engine.database, engine.metrics, (engine.metrics.in_flight,))
    history.process = process
    return history


async def until(history: History, start: float, seconds: int) -> datetime:
    """Look every ten seconds; returns the time then."""
    for passed in range(0, seconds + 10, 10):
        await history.look(start + passed)
    return datetime.fromtimestamp(start + seconds, UTC)


def total(recorded: Recorded, series: str) -> float:
    return sum(grown or 0.0 for grown in recorded.grown(series))


async def asked(engine: Engine, times: int = 1) -> None:
    for _ in range(times):
        await engine.ask("When does the gate close?")


async def test_what_happened_is_known_after_a_restart(engine: Engine, open_test_engine: OpenEngine) -> None:
    history = history_of(engine)
    await history.look(LONG_AGO)
    await asked(engine, 3)
    now = await until(history, LONG_AGO + 10, 20)
    await history.write()
    async with open_test_engine(database_schema=engine.database.schema) as restarted:
        recorded = await restarted.history.read(QUARTER, now)
    assert [*recorded.processes] == ["one:1"]
    assert total(recorded, "dossier_question_seconds_count") == 3
    assert "dossier_stage_seconds_sum{stage=reading}" in recorded.names("dossier_stage_seconds_sum")
    limits = [level for level in recorded.level("dossier_pool_connections{state=limit}") if level]
    assert limits and {*limits} == {5.0}
    # Before it began nothing was recorded, which is not the same as nothing.
    assert recorded.grown("dossier_question_seconds_count")[0] is None


async def test_coarser_stretches_hold_what_the_finer_ones_do(engine: Engine) -> None:
    start = LONG_AGO - 3600
    history = history_of(engine)
    for minute in range(20):
        await until(history, start + minute * 60, 50)
        await asked(engine, minute % 3)
    now = await until(history, start + 1200, 10)
    await history.write()
    questions = []
    for stretch in KEPT:
        recorded = await history.read(Window(timedelta(hours=1), stretch, stretch), now)
        questions.append(total(recorded, "dossier_question_seconds_count"))
        lags = recorded.level("dossier_pool_connections{state=limit}")
        assert {level for level in lags if level is not None} == {5.0}
    assert questions == [19.0, 19.0, 19.0]


async def test_what_is_old_is_removed_grain_by_grain(engine: Engine) -> None:
    history = history_of(engine)
    for days in (40, 7, 1):
        await until(history, LONG_AGO - days * 86_400, 30)
    await history.write()
    await history.prune()
    now = func.now()
    async with engine.database.read() as db:
        for seconds, kept in KEPT.items():
            of_it = select(func.count()).where(metrics_history.c.seconds == seconds)
            assert (await db.execute(of_it.where(metrics_history.c.at < now - kept))).scalar_one() == 0
    week_ago = datetime.fromtimestamp(LONG_AGO - 7 * 86_400 + 60, UTC)
    recorded = await history.read(Window(timedelta(hours=1), 600, 600), week_ago)
    assert recorded.level("dossier_pool_connections{state=limit}")[-1] == 5.0


async def test_processes_are_told_apart_and_added_up(engine: Engine) -> None:
    start = LONG_AGO - 2 * 3600
    one, other = history_of(engine, "one:1"), history_of(engine, "other:2")
    for history in (one, other):
        await history.look(start)
    await asked(engine)
    for history in (one, other):
        now = await until(history, start + 10, 30)
        await history.write()
    recorded = await one.read(QUARTER, now)
    assert [*recorded.processes] == ["one:1", "other:2"]
    assert total(recorded, "dossier_question_seconds_count") == 2
    assert total(recorded.of("other:2"), "dossier_question_seconds_count") == 1
    limit = "dossier_pool_connections{state=limit}"
    assert recorded.level(limit)[-1] == 10.0
    assert recorded.level(limit, shared=True)[-1] == 5.0


async def test_without_its_database_it_remembers_and_writes_later(
    open_test_engine: OpenEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING", 8)
    monkeypatch.setattr(remote, "FRESH_SECONDS", 0.0)  # what the running server said is not the last word
    own = embedded_postgres(tmp_path / "postgres")
    async with open_test_engine(database_url=await own.__aenter__()) as engine:
        history = history_of(engine)
        await own.__aexit__(None, None, None)
        now = await until(history, LONG_AGO, 200)
        with pytest.raises(DatabaseUnavailable):
            await history.write()
        told = await history.read(QUARTER, now)
        assert "does not answer" in told.notice
        assert told.level("dossier_pool_connections{state=limit}")[-1] == 5.0
        assert told.level("dossier_database_up", shared=True)[-1] == 0.0
        again = embedded_postgres(tmp_path / "postgres")
        await again.__aenter__()
        try:
            await history.write()
            later = await history.read(QUARTER, now)
            assert later.notice == ""
            there = [step for step in later.processes["one:1"] if step is not None]
            assert 4 <= len(there) <= 8  # what waited longest has made room
        finally:
            await again.__aexit__(None, None, None)


def test_quantiles_are_where_the_observations_are() -> None:
    registry = CollectorRegistry()
    seconds = Histogram("dossier_question_seconds", "-", buckets=DURATIONS, registry=registry)
    for tenths in range(1, 101):
        seconds.observe(tenths / 10)
    bucket = Bucket(counts={name: value for name, value in flatten(registry.collect())[0].items() if value})
    recorded = Recorded((datetime.now(UTC),), (10.0,), {"one:1": [bucket]})
    (median,) = recorded.quantile("dossier_question_seconds", DURATIONS, 0.5)
    (most,) = recorded.quantile("dossier_question_seconds", DURATIONS, 0.95)
    assert median == pytest.approx(5.0, abs=0.1)
    assert most == pytest.approx(9.5, abs=0.1)
    slow = Bucket(counts={"dossier_question_seconds_bucket{le=+Inf}": 1.0})
    assert Recorded((datetime.now(UTC),), (10.0,), {"one:1": [slow]}).quantile(
        "dossier_question_seconds", DURATIONS, 0.5
    ) == [30.0]
