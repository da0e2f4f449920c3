"""A challenger scores real questions after they were answered; the answer never waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from engine.access.principal import Principal, acting
from engine.documents.model import Passage
from engine.engine import Engine
from engine.errors import BadInput
from engine.evaluation.agreement import kendall_tau, overlap, rank_biased_overlap
from engine.evaluation.live import WAITING
from engine.reranking.base import RerankerState, Scores
from tests.conftest import OpenEngine
from tests.rerank_server import RerankServer, Scripted

from .conftest import stock

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


async def test_a_challenger_that_hangs_costs_the_answer_nothing(
    own_engine: Engine, rerank_server: RerankServer
) -> None:
    rerank_server.script()
    rerank_server.always = Scripted(hang=True)
    await own_engine.ask("When does the gate close?")
    assert await rerank_server.arrived()
    # It hangs for the reranker's five seconds; questions are answered meanwhile.
    async with asyncio.timeout(4):
        assert (await own_engine.ask("In which class are trains booked?")).sources
    rerank_server.always = Scripted(status=500)
    await own_engine.comparison.live.drain()
    (told,) = await own_engine.comparison.live.agreement()
    assert (told.questions, told.failures, told.kendall) == (0, 2, None)


async def test_while_users_are_busy_nothing_is_scored_and_the_rest_is_dropped_and_counted(
    own_engine: Engine,
) -> None:
    live = own_engine.comparison.live
    with own_engine.traces.question("One that takes its time", "fast"):
        answer = await own_engine.ask("When does the gate close?")
        retrieval = await own_engine._retriever.candidates("When does the gate close?")
        for _ in range(WAITING + 8):
            live.offer(answer, retrieval, None)
        assert await live.agreement() == []
    await live.drain()
    told = await live.agreement()
    assert sum(pair.questions for pair in told) == WAITING + 1  # that many wait, and one is in hand
    assert sum(pair.dropped for pair in told) == 8


async def test_the_challenger_reads_in_the_name_of_whoever_asked(open_test_engine: OpenEngine) -> None:
    async with open_test_engine(
        access_control=True, challenger_reranker="remote", challenger_share=1.0
    ) as engine:
        ann, ben = (Principal(name, name, "admin", everywhere=True) for name in ("ann", "ben"))
        readers: list[str] = []
        with acting(ann):
            live = engine.comparison.live
            await stock(engine)
        live._rerankers = {"remote": _Noting(lambda: readers.append(engine.access.principal().id))}
        for asker in (ann, ben):
            with acting(asker):
                await engine.ask("When does the gate close?")
        await live.drain()
        assert readers == ["ann", "ben"]


class _Noting:
    """A reranker that calls `note` and leaves passages as they are."""

    name, depth = "remote", 30

    def __init__(self, note: Callable[[], None]) -> None:
        self._note = note

    async def score(self, question: str, passages: Sequence[Passage]) -> Scores:
        self._note()
        return Scores((0.0,) * len(passages), 1.0, self.name)

    def state(self) -> RerankerState:
        return RerankerState()

    async def aclose(self) -> None: ...


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
