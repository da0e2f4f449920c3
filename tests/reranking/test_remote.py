"""The remote reranker against a local server in both forms: scores, secrets, and when it fails."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from engine.documents.model import Passage
from engine.errors import BadInput, ModelUnavailable, Unavailable
from engine.reranking.options import RerankerOptions
from engine.reranking.remote import BATCH, RemoteReranker

from ..answering.parts import source
from ..rerank_server import RerankServer, Scripted

pytestmark = pytest.mark.anyio

Make = Callable[..., RemoteReranker]


@pytest.fixture(scope="module")
def _running() -> Iterator[RerankServer]:
    with RerankServer() as running:
        yield running


@pytest.fixture
def server(_running: RerankServer) -> RerankServer:
    _running.reset()
    return _running


@pytest.fixture
async def make(server: RerankServer) -> AsyncIterator[Make]:
    made: list[RemoteReranker] = []

    def build(*, probe_seconds: float = 60.0, **given: object) -> RemoteReranker:
        options: dict[str, object] = {"models_folder": Path(), "remote_url": server.address}
        made.append(
            RemoteReranker(RerankerOptions(**(options | given)), probe_seconds=probe_seconds)  # type: ignore[arg-type]
        )
        return made[-1]

    yield build
    for reranker in made:
        await reranker.aclose()


def passages(count: int) -> list[Passage]:
    return [source(f"Passage {n} of the handbook.", id=n + 1).passage for n in range(count)]


@pytest.mark.parametrize("form", ["tei", "jina"])
@pytest.mark.parametrize("model", ["", "BAAI/bge-reranker-v2-m3"])
async def test_the_form_is_found_and_remembered(
    server: RerankServer, make: Make, form: str, model: str
) -> None:
    server.form = form  # type: ignore[assignment]
    reranker = make(remote_model=model)
    for _ in range(3):
        scores = await reranker.score("Which?", passages(8))
        assert scores.values == pytest.approx([n - 5.0 for n in range(8)])
        assert (scores.served_by, scores.notice) == ("remote", "")
    tried = 4 if (form == "tei") == bool(model) else 3
    assert len(server.asked) == tried
    assert server.asked[-1].body.get("model", model) == model


async def test_a_server_replaced_by_one_of_the_other_form_is_found_again(
    server: RerankServer, make: Make
) -> None:
    reranker = make()
    await reranker.score("Which?", passages(2))
    server.form = "jina"
    assert (await reranker.score("Which?", passages(2))).values == pytest.approx([-5.0, -4.0])


async def test_only_the_form_that_is_set_is_tried(server: RerankServer, make: Make) -> None:
    server.form = "jina"
    with pytest.raises(Unavailable, match="refuses what it is asked"):
        await make(remote_api="tei").score("Which?", passages(2))
    assert len(server.asked) == 1


@pytest.mark.parametrize("path", ["/", "/rerank", "/rerank/"])
async def test_an_address_may_hold_the_path(server: RerankServer, make: Make, path: str) -> None:
    scores = await make(remote_url=server.address + path).score("Which?", passages(2))
    assert None not in scores.values
    assert scores.cost_usd is None


async def test_probabilities_and_logits_come_to_the_same(server: RerankServer, make: Make) -> None:
    server.form = "jina"
    as_probabilities = await make().score("Which?", passages(9))
    server.logits = True
    as_logits = await make().score("Which?", passages(9))
    assert as_probabilities.values == pytest.approx(as_logits.values, abs=1e-3)


async def test_a_certain_probability_is_a_finite_score(server: RerankServer, make: Make) -> None:
    server.always = Scripted(body='[{"index": 0, "score": 1.0}, {"index": 1, "score": 0.0}]')
    first, second = (await make().score("Which?", passages(2))).values
    assert first is not None and second is not None
    assert math.isfinite(first)
    assert first == pytest.approx(-second)


async def test_a_server_of_logits_stays_one(server: RerankServer, make: Make) -> None:
    server.form, server.logits = "jina", True
    reranker = make()
    await reranker.score("Which?", passages(8))
    assert (await reranker.score("Which?", passages(7)[5:])).values == (0.0, 1.0)


async def test_many_passages_go_in_batches(server: RerankServer, make: Make) -> None:
    scores = await make().score("Which?", passages(2 * BATCH + 6))
    assert scores.values == tuple(n - 5.0 for n in range(2 * BATCH + 6))
    assert sorted(len(asked.body["texts"]) for asked in server.asked) == [6, BATCH, BATCH]


async def test_endless_passages_are_cut_and_empty_ones_are_not_sent(server: RerankServer, make: Make) -> None:
    endless = source("Passage 7 of the handbook. " + "dài " * 25_000).passage
    scores = await make().score("Which? " * 5_000, [endless, source(" \n").passage, passages(3)[2]])
    assert scores.values == (2.0, None, -3.0)
    assert "1 of 3 passages got no score from remote" in scores.notice
    body = server.asked[0].body
    assert max(map(len, [body["query"], *body["texts"]])) < 5_000


async def test_nothing_to_ask_asks_nothing(server: RerankServer, make: Make) -> None:
    assert (await make().score("Which?", [])).values == ()
    blank = await make().score(" ", passages(2))
    assert blank.values == (None, None)
    assert blank.notice
    assert server.asked == []


@pytest.mark.parametrize(
    ("body", "values"),
    [
        ('[{"index": 1, "score": 2.0}]', (None, 2.0, None)),
        (
            '[{"index": 1, "score": 2.0}, {"index": 7, "score": 9}, {"index": -1, "score": 9}]',
            (None, 2.0, None),
        ),
        ('[{"index": 1, "score": 2.0}, {"index": 1, "score": 9}]', (None, 2.0, None)),
        ('[{"index": 1, "score": 2.0}, {"index": 0, "score": NaN}, "?"]', (None, 2.0, None)),
        ('[{"index": 1, "score": 2.0}, {"index": true, "score": 1}, {"index": 0}]', (None, 2.0, None)),
    ],
)
async def test_what_is_left_out_or_wrong_is_no_score(
    server: RerankServer, make: Make, body: str, values: tuple[float | None, ...]
) -> None:
    server.always = Scripted(body=body)
    scores = await make().score("Which?", passages(3))
    assert scores.values == values
    assert "2 of 3 passages got no score from remote" in scores.notice


@pytest.mark.parametrize(
    "body", ["<html>", "null", "{}", "[]", '{"results": 3}', '[{"index": 9, "score": 1}]']
)
async def test_an_answer_without_scores_is_unavailable(server: RerankServer, make: Make, body: str) -> None:
    server.always = Scripted(body=body)
    reranker = make()
    with pytest.raises(Unavailable, match="its answer"):
        await reranker.score("Which?", passages(3))
    assert reranker.state().status == "failed"


async def test_a_failure_that_passes_is_repeated_once(server: RerankServer, make: Make) -> None:
    server.script(Scripted(status=503))
    assert (await make().score("Which?", passages(2))).values == (-5.0, -4.0)
    assert len(server.asked) == 2


async def test_retry_after_is_waited_for(server: RerankServer, make: Make) -> None:
    server.script(Scripted(status=429, headers={"Retry-After": "0.4"}))
    assert None not in (await make().score("Which?", passages(2))).values
    first, second = server.asked
    assert second.at - first.at >= 0.4


@pytest.mark.parametrize("after", ["60", "Wed, 21 Oct 2026 07:28:00 GMT"])
async def test_a_busy_server_is_not_taken_for_a_dead_one(
    server: RerankServer, make: Make, after: str
) -> None:
    server.script(*[Scripted(status=429, headers={"Retry-After": after})] * 2)
    reranker = make()
    started = time.monotonic()
    with pytest.raises(Unavailable, match="busy"):
        await reranker.score("Which?", passages(2))
    assert time.monotonic() - started < 2
    assert reranker.state().status == "ready"
    server.script()
    assert None not in (await reranker.score("Which?", passages(2))).values


async def test_a_dead_server_costs_its_time_once_and_is_found_when_it_is_back(
    server: RerankServer, make: Make
) -> None:
    server.always = Scripted(hang=True)
    reranker = make(timeout_seconds=0.4, probe_seconds=0.05)
    with pytest.raises(Unavailable, match="does not serve"):
        await reranker.score("Which?", passages(2))
    started = time.monotonic()
    for _ in range(20):
        with pytest.raises(Unavailable, match="left alone for now"):
            await reranker.score("Which?", passages(2))
    assert time.monotonic() - started < 0.2, "twenty questions wait less than one time-out"
    assert reranker.state().status == "failed"
    server.always = None
    async with asyncio.timeout(5):
        while reranker.state().status == "failed":
            await asyncio.sleep(0.01)
    assert (await reranker.score("Which?", passages(2))).values == (-5.0, -4.0)


async def test_a_server_that_is_not_there_is_told_without_its_password(make: Make) -> None:
    reranker = make(remote_url="http://user:geheim@127.0.0.1:9/v1", remote_api_key="sk-secret")
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9") as failure:
        await reranker.score("Which?", passages(2))
    told = f"{failure.value} {reranker.state().why}"
    assert "geheim" not in told
    assert "sk-secret" not in told


async def test_the_key_is_sent_and_a_wrong_one_is_told(server: RerankServer, make: Make) -> None:
    server.key = "right"
    assert None not in (await make(remote_api_key="right").score("Which?", passages(2))).values
    with pytest.raises(Unavailable, match="RERANKER_API_KEY"):
        await make(remote_api_key="wrong").score("Which?", passages(2))


async def test_batches_that_came_in_time_are_kept(server: RerankServer, make: Make) -> None:
    server.script(Scripted(body=json.dumps([{"index": i, "score": i - 3.0} for i in range(BATCH)])))
    server.always = Scripted(hang=True)
    reranker = make(remote_api="tei", timeout_seconds=0.5)
    scores = await reranker.score("Which?", passages(2 * BATCH))
    assert sum(value is not None for value in scores.values) == BATCH
    assert f"{BATCH} of {2 * BATCH} passages got no score from remote" in scores.notice


async def test_stopping_stops_the_request_and_takes_nothing_down(server: RerankServer, make: Make) -> None:
    server.always = Scripted(hang=True)
    reranker = make()
    work = asyncio.create_task(reranker.score("Which?", passages(2)))
    assert await server.arrived()
    assert reranker.state().waiting == 2
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert await server.left()
    assert (reranker.state().status, reranker.state().waiting) == ("ready", 0)


async def test_without_an_address_it_says_what_to_set(make: Make) -> None:
    reranker = make(remote_url="")
    assert reranker.state().status == "failed"
    with pytest.raises(ModelUnavailable, match="RERANKER_URL"):
        await reranker.score("Which?", passages(1))


@pytest.mark.parametrize("url", ["gpu:8080", "ftp://gpu", "http://", "/rerank"])
async def test_an_address_that_is_none_fails_at_start(make: Make, url: str) -> None:
    with pytest.raises(BadInput, match="RERANKER_URL"):
        make(remote_url=url)
