"""One question explained: its spans in memory, and the same at a real OpenTelemetry receiver."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from app.tracing import TracedRoutes
from engine.answering.model import Answered
from engine.documents.jobs import Upload
from engine.engine import Engine
from engine.errors import BadInput
from engine.observability import traces as traces_module
from engine.observability.trace import MOST_SPANS, Origin, span, stage, tracing
from engine.observability.traces import RecordedTrace, Traces
from tests.conftest import OpenEngine
from tests.observability.otlp_server import Collector, running
from tests.openai_server import OpenAIServer, Reply

pytestmark = pytest.mark.anyio

NOTE = b"# Travel policy\n\n## Meals\n\nMeals abroad are refunded up to 45 euros a day.\n"
QUESTION = "How much is refunded for meals abroad?"


async def stock(engine: Engine) -> None:
    job = await engine.ingestion.submit([Upload("travel.md", NOTE)])
    await engine.ingestion.wait(job.id)


@pytest.fixture(scope="module")
def model() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture(scope="module")
async def quoting(open_test_engine: OpenEngine) -> AsyncIterator[Engine]:
    async with open_test_engine() as engine:
        await stock(engine)
        yield engine


def named(trace: RecordedTrace, name: str) -> list[Any]:
    return [one for one in trace.spans if one.name == name]


async def test_a_question_is_explained_from_its_stages_to_database_cache_and_model(quoting: Engine) -> None:
    session = await quoting.sessions.create()
    answer = await quoting.ask(QUESTION, session_id=session.id)
    trace = quoting.traces.recent(1)[0]
    assert (trace.question, trace.mode, trace.kind, trace.error) == (QUESTION, "fast", answer.kind, "")
    assert trace.total_ms >= answer.receipt.total_ms
    names = {one.name for one in trace.spans}
    assert {
        "question", "understanding", "embedding", "model", "search", "lexical search", "vector search",
        "reranking", "reranker", "reading", "database: read", "database: write", "cache: retrieval",
        "cache: question embedding", "cache layer: L3", "keeping the turn",
    } <= names  # fmt: skip
    first = trace.spans[0]
    assert (first.name, first.depth, first.start_ms) == ("question", 0, 0)
    for one in trace.spans[1:]:
        assert one.depth > 0
        assert one.start_ms + one.duration_ms <= first.duration_ms + 5
    assert named(trace, "vector search")[0].attributes["statements"] >= 1
    assert named(trace, "cache: retrieval")[0].attributes["layer"] == "miss"
    assert set(trace.stages) == {timing.name for timing in answer.receipt.stages}


async def test_a_question_asked_again_shows_the_layer_that_served_it(quoting: Engine) -> None:
    await quoting.ask("What is refunded a day?")
    await quoting.ask("What is refunded a day?")
    trace = quoting.traces.recent(1)[0]
    assert trace.cache["retrieval"] == trace.spans[0].attributes["cache: retrieval"] == "L1"
    assert not named(trace, "vector search")


async def test_the_language_models_calls_are_spans(open_test_engine: OpenEngine, model: OpenAIServer) -> None:
    async with open_test_engine(openai_api_key="test", openai_base_url=model.url) as engine:
        await stock(engine)
        model.script(Reply("Meals are refunded up to 45 euros a day [1]."))
        await engine.ask(QUESTION)
        (stream,) = named(engine.traces.recent(1)[0], "language model: stream")
        assert 0 < stream.attributes["first_piece_ms"] <= stream.duration_ms
        assert stream.depth >= 2


async def test_failures_and_stops_are_told_apart(quoting: Engine) -> None:
    with pytest.raises(BadInput):
        await quoting.ask("???")
    failed = quoting.traces.recent(1)[0]
    assert (failed.kind, failed.error) == ("failed", "BadInput")
    async with contextlib.aclosing(quoting.stream("Stopped?")) as events:  # type: ignore[type-var]
        async for _ in events:
            break
    stopped = quoting.traces.recent(1)[0]
    assert (stopped.kind, stopped.error) == ("stopped", "")


def test_the_slowest_of_the_hour_stay_when_many_quick_ones_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Traces()
    with kept.question("slow", "fast") as trace:
        trace.started -= 9
    for number in range(3 * traces_module.KEPT):
        with kept.question(f"quick {number}", "fast"):
            pass
    assert len(kept.recent(1000)) == traces_module.KEPT
    assert kept.recent(1)[0].question == f"quick {3 * traces_module.KEPT - 1}"
    assert kept.recent(1, slowest_first=True)[0].question == "slow"
    slowest = [trace.total_ms for trace in kept.recent(1000, slowest_first=True)]
    assert slowest == sorted(slowest, reverse=True)
    monkeypatch.setattr(traces_module, "SLOWEST_SECONDS", -1.0)
    assert kept.recent(1, slowest_first=True) == []


def test_a_trace_has_room_for_so_many_spans_and_counts_the_rest() -> None:
    kept = Traces()
    with kept.question("many", "fast"):
        for _ in range(MOST_SPANS + 10):
            with span("again"):
                pass
    trace = kept.recent(1)[0]
    assert len(trace.spans) == MOST_SPANS
    assert trace.dropped == 11


def test_outside_a_trace_nothing_is_noted() -> None:
    with stage("search") as outside:
        outside.set(found=1)
    with tracing() as trace:
        pass
    assert trace.stages == {}


async def test_a_page_or_route_is_the_first_span_and_takes_the_callers_trace_over(quoting: Engine) -> None:
    async def ask(_: Request) -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            async for event in quoting.stream(QUESTION):
                if isinstance(event, Answered):
                    yield event.answer.text

        return StreamingResponse(lines())

    app = Starlette(routes=[Route("/api/ask", ask)])
    app.add_middleware(TracedRoutes)
    caller = "4bf92f3577b34da6a3ce929d0e0e4736"
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://here") as client:
        await client.get("/api/ask", headers={"traceparent": f"00-{caller}-00f067aa0ba902b7-01"})
    trace = quoting.traces.recent(1)[0]
    assert trace.trace_id == caller
    assert [(one.name, one.depth) for one in trace.spans[:2]] == [("GET /api/ask", 0), ("question", 1)]
    assert trace.spans[0].duration_ms >= trace.spans[1].duration_ms
    with Origin("page", started=time.perf_counter() - 0.05):
        await quoting.ask(QUESTION)
        await quoting.ask(QUESTION)
    later, earlier = quoting.traces.recent(2)
    assert {earlier.spans[0].name, later.spans[0].name} == {"page", "question"}


async def exported(collector: Collector, count: int) -> None:
    async with asyncio.timeout(20):
        while len(collector.spans) < count:
            await asyncio.sleep(0.05)


async def test_spans_reach_a_collector_as_they_are_in_memory(open_test_engine: OpenEngine) -> None:
    with running() as collector:
        async with open_test_engine(
            otlp_endpoint=collector.url, otlp_headers="authorization=Bearer secret"
        ) as engine:
            await stock(engine)
            await engine.ask(QUESTION)
            with pytest.raises(BadInput):
                await engine.ask("???")
            failed, trace = engine.traces.recent(2)
        await exported(collector, len(trace.spans) + len(failed.spans))
        spans = [one for one in collector.spans if one.trace_id.hex() == trace.trace_id]
        # What caches write after the answer belongs to it too, and may be exported or come too late.
        names, at_last = Counter(one.name for one in spans), engine.traces.recent(2)[1]
        assert Counter(one.name for one in trace.spans) <= names <= Counter(one.name for one in at_last.spans)
        by_id = {one.span_id: one for one in spans}
        assert len(by_id) == len(spans)
        (root,) = [one for one in spans if not one.parent_span_id]
        assert root.name == "question"
        for one in spans:
            assert one is root or one.parent_span_id in by_id
            assert root.start_time_unix_nano <= one.start_time_unix_nano <= one.end_time_unix_nano
        assert abs(root.start_time_unix_nano / 1e9 - trace.started.timestamp()) < 0.1
        (search,) = [one for one in spans if one.name == "search"]
        (vector,) = [one for one in spans if one.name == "vector search"]
        assert vector.parent_span_id == search.span_id
        (broken,) = [one for one in collector.spans if one.trace_id.hex() == failed.trace_id]
        assert broken.status.message == "BadInput"
        told = {
            attribute.key: attribute.value.string_value
            for attribute in collector.requests[0].resource_spans[0].resource.attributes
        }
        assert told["service.name"] == "dossier"
        assert collector.headers[0]["authorization"] == "Bearer secret"
        assert QUESTION not in str(collector.requests), "what users ask stays here"


@pytest.mark.parametrize("collector_is", ["gone", "hanging"])
async def test_a_collector_that_does_not_answer_harms_nothing(
    open_test_engine: OpenEngine, collector_is: str
) -> None:
    with running() as collector:
        collector.hold.clear()
        url = collector.url if collector_is == "hanging" else "http://127.0.0.1:9"
        started = time.perf_counter()
        async with open_test_engine(otlp_endpoint=url) as engine:
            await stock(engine)
            for number in range(5):
                assert (await engine.ask(f"{QUESTION} {number}")).text
            assert engine.traces.recent(1)[0].total_ms < 2000
            closing = time.perf_counter()
        assert time.perf_counter() - closing < 8
        assert time.perf_counter() - started < 60
