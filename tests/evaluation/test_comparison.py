"""Rerankers side by side on one question, and votes on their lists."""

from __future__ import annotations

import pytest

from engine.engine import Engine
from engine.errors import BadInput
from engine.evaluation.model import ArmResult, VoteSummary
from tests.conftest import OpenEngine
from tests.openai_server import OpenAIServer
from tests.rerank_server import RerankServer, Scripted

from .conftest import stock

pytestmark = pytest.mark.anyio

QUESTION = "How much is refunded for meals abroad?"


async def arms(engine: Engine, *rerankers: str, question: str = QUESTION) -> list[ArmResult]:
    return [arm async for arm in engine.comparison.stream(question, rerankers)]


async def test_every_reranker_orders_the_same_passages(engine: Engine) -> None:
    none, built_in, remote = await arms(engine, "none", "built-in", "remote")
    assert [arm.reranker for arm in (none, built_in, remote)] == ["none", "built-in", "remote"]
    found = {c.passage.id for c in none.candidates}
    assert len(found) > 3
    for arm in (built_in, remote):
        assert {c.passage.id for c in arm.candidates} == found
        assert not arm.error and arm.served_by == arm.reranker and arm.milliseconds > 0
        assert [c.score for c in arm.candidates] == sorted((c.score for c in arm.candidates), reverse=True)
    assert none.milliseconds == 0 and all(c.reranked is None for c in none.candidates)
    assert "meals" in built_in.candidates[0].passage.text.casefold()


async def test_the_default_reranker_s_list_is_the_one_that_users_get(engine: Engine) -> None:
    (built_in,) = await arms(engine, "built-in")
    served = await engine.search(QUESTION, k=8)
    assert [c.passage.id for c in built_in.candidates][:8] == [c.passage.id for c in served]


async def test_one_that_fails_tells_why_and_harms_no_other(
    own_engine: Engine, rerank_server: RerankServer
) -> None:
    engine = own_engine
    rerank_server.always = Scripted(status=500)
    failed, built_in = await arms(engine, "remote", "built-in")
    assert "500" in failed.error and failed.served_by == "built-in"  # as users would get it
    assert [c.passage.id for c in failed.candidates] == [c.passage.id for c in built_in.candidates]
    assert not built_in.error and built_in.candidates[0].reranked is not None


async def test_nothing_is_cached(engine: Engine, rerank_server: RerankServer) -> None:
    rerank_server.script()
    await arms(engine, "remote")
    asked = len(rerank_server.asked)
    await arms(engine, "remote")
    assert asked and len(rerank_server.asked) == 2 * asked


async def test_tokens_and_cost_of_a_language_model_are_told(
    open_test_engine: OpenEngine, language_model: OpenAIServer
) -> None:
    async with open_test_engine(openai_api_key="test", openai_base_url=language_model.url) as engine:
        await stock(engine)
        (arm,) = await arms(engine, "openai")
        assert arm.prompt_tokens > 0 and arm.completion_tokens > 0
        assert arm.cost_usd is not None and arm.cost_usd > 0


async def test_contenders_tell_whether_they_can_serve(engine: Engine) -> None:
    states = {contender.name: contender for contender in engine.comparison.contenders()}
    assert states["built-in"].status == states["none"].status == states["remote"].status == "ready"
    assert states["openai"].status == "failed" and "OPENAI_API_KEY" in states["openai"].why


async def test_what_cannot_be_compared_is_refused(engine: Engine) -> None:
    for question in ("", "  ?! ", "x" * 5_000):
        with pytest.raises(BadInput):
            await arms(engine, "none", question=question)
    with pytest.raises(BadInput, match="no-such"):
        await arms(engine, "none", "no-such")


async def test_votes_count_for_the_reranker_whichever_side_it_was_shown_on(engine: Engine) -> None:
    none, built_in = await arms(engine, "none", "built-in")
    await engine.comparison.vote(QUESTION, none, built_in, "right", blind=True)
    await engine.comparison.vote(QUESTION, built_in, none, "left", blind=True)
    await engine.comparison.vote(QUESTION, built_in, none, "right", blind=False)
    await engine.comparison.vote(QUESTION, built_in, none, "tie", blind=False)
    assert await engine.comparison.votes() == [
        VoteSummary("built-in", "none", left_wins=2, right_wins=1, ties=1, blind=2)
    ]
    with pytest.raises(BadInput):
        await engine.comparison.vote(QUESTION, none, built_in, "both", blind=True)  # type: ignore[arg-type]
