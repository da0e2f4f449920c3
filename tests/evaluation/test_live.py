"""A challenger scores real questions after they were answered; the answer never waits."""

from __future__ import annotations

import asyncio

import pytest

from engine.engine import Engine
from engine.errors import BadInput
from engine.evaluation.agreement import kendall_tau, overlap, rank_biased_overlap
from tests.conftest import OpenEngine
from tests.rerank_server import RerankServer, Scripted

pytestmark = pytest.mark.anyio


async def test_agreement_and_thumbs_of_each_arm(own_engine: Engine) -> None:
    engine = own_engine
    session = await engine.sessions.create()
    for question, vote in (
        ("When does the gate close?", "up"),
        ("In which class are trains booked?", "down"),
    ):
        await engine.ask(question, session_id=session.id)
        turn = (await engine.sessions.turns(session.id))[-1]
        await engine.sessions.vote(turn.id, vote)  # type: ignore[arg-type]
    await engine.comparison.live.drain()
    (told,) = await engine.comparison.live.agreement()
    assert (told.champion, told.challenger, told.questions, told.failures) == ("built-in", "remote", 2, 0)
    assert told.overlap is not None and 0 <= told.overlap <= 1
    assert told.kendall is not None and -1 <= told.kendall <= 1
    assert told.citations_kept_up is not None and told.milliseconds is not None
    (thumbs,) = await engine.comparison.live.thumbs()
    assert (thumbs.reranker, thumbs.answers, thumbs.up, thumbs.down) == ("built-in", 2, 1, 1)


async def test_a_challenger_that_hangs_or_fails_costs_the_answer_nothing(
    own_engine: Engine, rerank_server: RerankServer
) -> None:
    engine = own_engine
    rerank_server.always = Scripted(hang=True)
    async with asyncio.timeout(10):  # less than half of what the challenger would take for all
        for n in range(40):
            assert (await engine.ask(f"When does gate {n} close?")).sources
    rerank_server.always = Scripted(status=500)
    await engine.comparison.live.drain()
    (told,) = await engine.comparison.live.agreement()
    assert told.questions == 0 and told.failures > 0 and told.kendall is None
    # What there was no room for was dropped, and that is counted.
    assert told.dropped > 0 and told.failures + told.dropped <= 40


async def test_without_a_challenger_nothing_is_scored(open_test_engine: OpenEngine) -> None:
    async with open_test_engine() as engine:
        await engine.ask("When does the gate close?")
        assert await engine.comparison.live.agreement() == []
    with pytest.raises(BadInput, match="CHALLENGER_RERANKER"):
        async with open_test_engine(challenger_reranker="no-such"):
            pass


def test_measures_of_agreement() -> None:
    same = [3, 1, 2, 4]
    assert (overlap(same, same), kendall_tau(same, same), rank_biased_overlap(same, same)) == (
        1,
        1,
        pytest.approx(1),
    )
    assert kendall_tau(same, same[::-1]) == -1
    assert rank_biased_overlap([1, 2], [3, 4]) == 0
    assert overlap([1, 2, 3, 4, 5, 6], [5, 4, 7, 8, 9, 1]) == pytest.approx(2 / 5)
    # Webber, Moffat & Zobel: what agrees first counts most.
    assert rank_biased_overlap([1, 2, 3], [1, 3, 2]) > rank_biased_overlap([1, 2, 3], [2, 1, 3])
    assert (overlap([], []), kendall_tau([], []), rank_biased_overlap([], [])) == (1, 1, 1)
