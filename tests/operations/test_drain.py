"""A process that is taken out of service finishes what it has, and takes nothing new."""

from __future__ import annotations

import asyncio
from functools import partial

import httpx2 as httpx
import pytest

from engine.documents.jobs import Upload
from engine.engine import Engine
from engine.errors import BadInput, Draining
from tests.api.conftest import FILES, QUESTION, serving, settled, stock
from tests.conftest import OpenEngine
from tests.openai_server import OpenAIServer, Reply

pytestmark = pytest.mark.anyio


async def test_what_is_under_way_is_finished_and_nothing_new_is_taken(open_test_engine: OpenEngine) -> None:
    with OpenAIServer() as model:
        model.script(Reply("Up to 45 euros a day [1].", delay_first=0.5))
        writing = open_test_engine(openai_api_key="k", openai_base_url=model.url)
        async with writing as engine, serving(engine) as client:
            await stock(engine)
            running = asyncio.create_task(client.post("/api/ask", json={"question": QUESTION}))
            assert await model.arrived()
            assert engine.metrics.under_way == 1
            job = await engine.ingestion.submit([Upload("late.md", b"# Late\n\nGates close at nine.\n")])
            action = await engine.operations.drain("operations page")
            assert action.done and action.at

            await refused(client, engine)
            assert (await client.get("/health")).status_code == 200
            answered = await running
            assert answered.status_code == 200 and "45 euros" in answered.json()["text"]
            finished = await engine.ingestion.wait(job.id)
            assert finished.files[0].stage == "done"
            assert await settled(lambda: engine.metrics.under_way == 0)

            await engine.operations.serve()
            assert (await client.get("/ready")).json()["status"] == "ready"
            model.script(Reply("Up to 45 euros [1]."))
            assert (await client.post("/api/ask", json={"question": QUESTION})).status_code == 200
            done = await engine.operations.recent()
            assert [action.action for action in done] == ["serve again", "drain"]


async def refused(client: httpx.AsyncClient, engine: Engine) -> None:
    ready = await client.get("/ready")
    assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
    assert "draining" in ready.json()["why"]
    message = {"messages": [{"role": "user", "content": QUESTION}], "stream": True}
    files = {"files": ("travel.md", FILES["travel.md"].encode())}
    for sent in (
        await client.post("/api/ask", json={"question": QUESTION}),
        await client.post("/v1/chat/completions", json=message),
        await client.post("/api/documents", files=files),
    ):
        assert sent.status_code == 503, sent.text
        assert "about to stop" in sent.json()["detail"]
        assert int(sent.headers["retry-after"]) > 0
    with pytest.raises(Draining):
        await engine.ask(QUESTION)


async def test_what_is_done_is_recorded_though_the_page_leaves_first(open_test_engine: OpenEngine) -> None:
    async with open_test_engine() as engine:
        operations = engine.operations
        name = next(model for model in operations.models if model.startswith("embedder"))
        for number, act in enumerate(
            (operations.drain, operations.serve, partial(operations.reload_model, name))
        ):
            acting = asyncio.create_task(act("operations page"))
            await asyncio.sleep(0)  # it has begun
            acting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await acting
            async with asyncio.timeout(60):
                while len(done := await operations.recent()) <= number:
                    await asyncio.sleep(0.02)
        assert [(action.action, action.done) for action in done] == [
            ("reload", True),
            ("serve again", True),
            ("drain", True),
        ]
        assert engine.drain.since is None


async def test_a_model_is_loaded_anew_under_questions_and_an_unknown_one_refused(
    open_test_engine: OpenEngine,
) -> None:
    async with open_test_engine() as engine:
        name = next(model for model in engine.operations.models if model.startswith("embedder"))
        reloading = asyncio.create_task(engine.operations.reload_model(name))
        asked = 0
        while not reloading.done():
            await engine.embed_question(f"Does gate {asked} close?")
            asked += 1
        action = await reloading
        assert action.done and asked > 0
        with pytest.raises(BadInput, match="no model"):
            await engine.operations.reload_model("oracle")
