"""One owner of the model: batches, questions first, cancelled work dropped, clean close."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from engine.errors import ModelUnavailable, Unavailable
from engine.inference.worker import WAITING_LIMIT, WINDOW
from engine.retrieval.embedders.base import Embedding
from engine.retrieval.embedders.worker import Worker

pytestmark = pytest.mark.anyio


class Model:
    """A text's vector is its length. Waits at `gate` before each batch; "bad" fails."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.running = threading.Event()
        self.batches: list[list[str]] = []
        self.threads: set[int] = set()

    def prepare(self, text: str, is_query: bool) -> str:
        if text == "bad to read":
            raise ValueError("cannot be read")
        return text

    def embed(self, batch: Sequence[str]) -> list[Embedding]:
        self.running.set()
        assert self.gate.wait(10)
        self.threads.add(threading.get_ident())
        self.batches.append(list(batch))
        if "bad" in batch:
            raise RuntimeError("out of luck")
        return [Embedding(np.array([len(text)], np.float32)) for text in batch]


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
async def worker(model: Model) -> AsyncIterator[Worker[str]]:
    worker = Worker("test", lambda: model, batch_size=40)
    await worker.start()
    yield worker
    model.gate.set()
    await worker.aclose()


async def _busy(worker: Worker[str], model: Model) -> asyncio.Task[Embedding]:
    """Keeps the worker at the gate, so that what follows waits together."""
    task = asyncio.create_task(worker.embed("first", is_query=False))
    await asyncio.to_thread(model.running.wait, 10)
    return task


async def test_concurrent_requests_share_batches_of_similar_length(worker: Worker[str], model: Model) -> None:
    first = await _busy(worker, model)
    tasks = [asyncio.create_task(worker.embed("x" * n, is_query=True)) for n in (20, 4, 19, 5, 6)]
    await asyncio.sleep(0)
    model.gate.set()
    lengths = [float((await task).vector[0]) for task in tasks]
    await first
    assert lengths == [20, 4, 19, 5, 6]
    assert [[len(text) for text in batch] for batch in model.batches] == [[5], [6, 5, 4], [20, 19]]
    assert len(model.threads) == 1


async def test_questions_overtake_passages(worker: Worker[str], model: Model) -> None:
    first = await _busy(worker, model)
    passages = asyncio.create_task(worker.embed_many(["p" * 40] * (WINDOW + 5)))
    await asyncio.sleep(0)
    question = asyncio.create_task(worker.embed("question", is_query=True))
    await asyncio.sleep(0)
    model.gate.set()
    await asyncio.gather(first, passages, question)
    assert model.batches[1] == ["question"]


async def test_a_question_waits_for_one_batch_of_passages_only(worker: Worker[str], model: Model) -> None:
    passages = asyncio.create_task(worker.embed_many(["p" * 40] * 10))
    await asyncio.to_thread(model.running.wait, 10)
    question = asyncio.create_task(worker.embed("question", is_query=True))
    await asyncio.sleep(0)
    model.gate.set()
    await asyncio.gather(passages, question)
    assert [batch[0] for batch in model.batches].index("question") == 1


async def test_cancelled_work_is_dropped(worker: Worker[str], model: Model) -> None:
    first = await _busy(worker, model)
    unwanted = asyncio.create_task(worker.embed_many(["unwanted"] * 200))
    wanted = asyncio.create_task(worker.embed("wanted", is_query=False))
    await asyncio.sleep(0)
    unwanted.cancel()
    with pytest.raises(asyncio.CancelledError):
        await unwanted
    model.gate.set()
    await asyncio.gather(first, wanted)
    assert model.batches == [["first"], ["wanted"]]


async def test_cancelling_what_is_running_harms_nobody(worker: Worker[str], model: Model) -> None:
    first = await _busy(worker, model)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    model.gate.set()
    assert (await worker.embed("next", is_query=True)).vector[0] == 4


async def test_a_failed_batch_fails_its_callers_only(worker: Worker[str], model: Model) -> None:
    model.gate.set()
    with pytest.raises(ModelUnavailable, match="out of luck"):
        await worker.embed("bad", is_query=True)
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        await worker.embed_many(["good", "bad to read"])
    assert (await worker.embed("good", is_query=True)).vector[0] == 4


async def test_too_much_work_is_refused_at_once(worker: Worker[str], model: Model) -> None:
    first = await _busy(worker, model)
    waiting = [asyncio.create_task(worker.embed("q", is_query=True)) for _ in range(WAITING_LIMIT)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="too much"):
        await worker.embed("one more", is_query=True)
    for task in waiting:
        task.cancel()
    model.gate.set()
    await first


async def test_closing_finishes_what_was_asked(model: Model) -> None:
    worker = Worker("test", lambda: model, batch_size=40)
    await worker.start()
    first = await _busy(worker, model)
    waiting = asyncio.create_task(worker.embed("waiting", is_query=False))
    await asyncio.sleep(0)
    closing = asyncio.create_task(worker.aclose())
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="closed"):
        await worker.embed("late", is_query=True)
    model.gate.set()
    await closing
    assert (await first).vector[0] == 5
    assert (await waiting).vector[0] == 7


async def test_a_model_that_cannot_be_loaded_says_why() -> None:
    def load() -> Model:
        raise RuntimeError("no such weights")

    worker = Worker("test", load, batch_size=40)
    with pytest.raises(ModelUnavailable, match="no such weights"):
        await worker.start()
    await worker.aclose()
