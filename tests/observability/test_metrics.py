"""What a scrape shows is what happened: questions, stages, errors, pool, caches, servers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from engine.answering.admission import PLACES
from engine.answering.model import AnswerText
from engine.documents.jobs import Upload
from engine.engine import Engine
from engine.errors import BadInput
from engine.observability import remote
from tests.conftest import OpenEngine
from tests.openai_server import OpenAIServer, Reply
from tests.redis_server import RedisServer, binaries
from tests.storage.pgbouncer import running as running_pgbouncer

pytestmark = pytest.mark.anyio

NOTE = b"# Travel policy\n\n## Meals\n\nMeals abroad are refunded up to 45 euros a day.\n"
QUESTION = "How much is refunded for meals abroad?"

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scrape(engine: Engine) -> Samples:
    """Every sample of one scrape, servers asked anew."""
    await engine.metrics.refresh()
    text = (await engine.metrics.exposition()).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, tuple(sorted(labels.items()))))


@pytest.fixture(autouse=True)
def _asked_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests look at what changed within a second."""
    monkeypatch.setattr(remote, "FRESH_SECONDS", 0.0)


@pytest.fixture(scope="module")
async def stocked(open_test_engine: OpenEngine) -> AsyncIterator[Engine]:
    async with open_test_engine(max_question_characters=200) as engine:
        job = await engine.ingestion.submit([Upload("travel.md", NOTE)])
        await engine.ingestion.wait(job.id)
        yield engine


async def test_a_question_is_counted_once_with_its_stages(stocked: Engine) -> None:
    before = await scrape(stocked)
    answer = await stocked.ask(QUESTION)
    after = await scrape(stocked)

    def grown(name: str, **labels: str) -> float:
        return (value(after, name, **labels) or 0.0) - (value(before, name, **labels) or 0.0)

    assert grown("dossier_questions_total", mode="fast", kind=answer.kind) == 1
    assert grown("dossier_question_seconds_count") == 1
    assert grown("dossier_question_seconds_sum") >= answer.receipt.total_ms / 1000
    for timing in answer.receipt.stages:
        assert grown("dossier_stage_seconds_count", stage=timing.name) == 1
    assert grown("dossier_pool_wait_seconds_count") >= 2
    assert grown("dossier_reranker_batch_passages_count", reranker="built-in") == 1
    assert grown("dossier_cache_requests_total", layer="L1", result="miss") >= 1
    assert value(after, "dossier_questions_in_flight") == 0


async def test_a_question_asked_again_is_a_hit_of_the_first_layer(stocked: Engine) -> None:
    await stocked.ask("What is refunded a day abroad?")
    before = await scrape(stocked)
    await stocked.ask("What is refunded a day abroad?")
    after = await scrape(stocked)
    hits = {"layer": "L1", "result": "hit"}
    assert value(after, "dossier_cache_requests_total", **hits) >= 1 + (
        value(before, "dossier_cache_requests_total", **hits) or 0
    )
    assert value(after, "dossier_cache_seconds_count", layer="L1") > 0
    assert value(after, "dossier_cache_bytes", layer="L1") > 0
    assert value(after, "dossier_cache_entries", layer="L3") > 0


async def test_errors_are_counted_by_kind_and_stops_are_no_errors(stocked: Engine) -> None:
    before = await scrape(stocked)
    with pytest.raises(BadInput):
        await stocked.ask("why " * 100)
    with pytest.raises(BadInput):
        await stocked.ask(QUESTION, mode="<script>")  # type: ignore[arg-type]
    async with contextlib.aclosing(stocked.stream("Meals?")) as events:  # type: ignore[type-var]
        async for _ in events:
            break
    after = await scrape(stocked)
    refused = value(after, "dossier_errors_total", kind="BadInput") or 0
    assert refused - (value(before, "dossier_errors_total", kind="BadInput") or 0) == 2
    assert value(after, "dossier_questions_total", mode="other", kind="failed") == 1
    assert value(after, "dossier_questions_total", mode="fast", kind="stopped") == 1
    assert value(after, "dossier_errors_total", kind="fault") == 0
    assert value(after, "dossier_questions_in_flight") == 0


async def test_a_question_under_way_is_in_flight(open_test_engine: OpenEngine) -> None:
    with OpenAIServer() as model:
        model.default = Reply("Up to 45 euros [1].", hang_after=1)
        async with open_test_engine(openai_api_key="test", openai_base_url=model.url) as engine:
            job = await engine.ingestion.submit([Upload("travel.md", NOTE)])
            await engine.ingestion.wait(job.id)
            async with contextlib.aclosing(engine.stream(QUESTION)) as events:  # type: ignore[type-var]
                async for event in events:
                    if isinstance(event, AnswerText):
                        break
                assert value(await scrape(engine), "dossier_questions_in_flight") == 1
            assert value(await scrape(engine), "dossier_questions_in_flight") == 0


async def test_a_question_whose_turn_has_not_come_is_seen_to_wait(stocked: Engine) -> None:
    async with contextlib.AsyncExitStack() as taken:
        for _ in range(PLACES):
            await taken.enter_async_context(stocked._asker.admission.place())
        asked = asyncio.create_task(stocked.ask(QUESTION))
        while not value(await scrape(stocked), "dossier_questions_waiting"):
            assert not asked.done()
        assert value(await scrape(stocked), "dossier_questions_waiting") == 1
    assert (await asked).citations
    assert value(await scrape(stocked), "dossier_questions_waiting") == 0


async def test_the_pool_the_corpus_the_jobs_and_the_process_are_there(stocked: Engine) -> None:
    async with stocked.database.read():
        samples = await scrape(stocked)
    assert value(samples, "dossier_pool_connections", state="limit") == 5
    assert value(samples, "dossier_pool_connections", state="in_use") >= 1
    assert value(samples, "dossier_documents") == 1
    assert value(samples, "dossier_passages") >= 1
    assert value(samples, "dossier_database_up") == 1
    assert value(samples, "dossier_postgres_connections", state="limit") > 10
    assert value(samples, "dossier_ingestion_jobs", state="done") == 1
    assert value(samples, "dossier_ingestion_jobs", state="running") == 0
    assert value(samples, "process_resident_memory_bytes") > 50e6
    assert value(samples, "dossier_reranker_ready", reranker="built-in") == 1


async def test_what_is_off_has_no_series(stocked: Engine) -> None:
    names = {name for name, _ in await scrape(stocked)}
    assert not [name for name in names if name.startswith(("dossier_redis", "dossier_pgbouncer"))]


async def test_a_blocked_loop_is_seen(stocked: Engine) -> None:
    def late(samples: Samples) -> float:
        quick = value(samples, "dossier_event_loop_lag_seconds_bucket", le="0.25")
        return (value(samples, "dossier_event_loop_lag_seconds_count") or 0) - (quick or 0)

    before = late(await scrape(stocked))
    await asyncio.sleep(0.15)  # its timer runs
    asyncio.get_running_loop().call_soon(lambda: __import__("time").sleep(0.5))
    async with asyncio.timeout(5):
        while late(await scrape(stocked)) == before:
            await asyncio.sleep(0.05)


async def test_pgbouncer_tells_its_pools_and_says_when_it_is_gone(
    open_test_engine: OpenEngine, database_url: str, tmp_path: Path
) -> None:
    with running_pgbouncer(tmp_path / "pgbouncer", database_url.replace("+asyncpg", "")) as bouncer:
        async with open_test_engine(use_pgbouncer=True, pgbouncer_url=bouncer.url) as engine:
            async with engine.database.read():
                samples = await scrape(engine)
            assert value(samples, "dossier_pgbouncer_up") == 1
            assert value(samples, "dossier_pgbouncer_clients", state="active") >= 1
            # What runs by the clock may wait for a moment: that it is told is what counts.
            assert value(samples, "dossier_pgbouncer_clients", state="waiting") is not None
            assert value(samples, "dossier_pgbouncer_maxwait_seconds") is not None
            assert value(samples, "dossier_pgbouncer_queries_total") > 0
            bouncer.stop()
            samples = await scrape(engine)
            assert value(samples, "dossier_pgbouncer_up") == 0
            assert value(samples, "dossier_pgbouncer_queries_total") is None
            assert value(samples, "dossier_pool_connections", state="limit") == 5


async def test_redis_tells_its_memory_and_a_scrape_does_not_wait_for_one_that_hangs(
    open_test_engine: OpenEngine, tmp_path: Path
) -> None:
    server = RedisServer(tmp_path, next(iter(binaries().values())), "--maxmemory", "64mb")
    server.start()
    try:
        async with open_test_engine(enable_redis_cache=True, redis_url=server.url) as engine:
            samples = await scrape(engine)
            assert value(samples, "dossier_redis_up") == 1
            assert value(samples, "dossier_redis_memory_bytes", kind="max") == 64 * 1024**2
            assert value(samples, "dossier_redis_memory_bytes", kind="used") > 100_000
            assert value(samples, "dossier_cache_requests_total", layer="L2", result="hit") == 0
            server.pause()
            started = asyncio.get_running_loop().time()
            await engine.metrics.exposition()
            assert asyncio.get_running_loop().time() - started < 1
            samples = await scrape(engine)
            assert value(samples, "dossier_redis_up") == 0
            assert value(samples, "dossier_redis_clients") is None
            assert value(samples, "dossier_documents") == 0
    finally:
        server.stop()
