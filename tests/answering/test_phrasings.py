"""Modes: which questions are searched for."""

from __future__ import annotations

import json

import pytest

from engine.answering.phrasings import phrase
from tests.answering.conftest import MakeModel
from tests.openai_server import OpenAIServer, Reply

pytestmark = pytest.mark.anyio

QUESTION = "How long do bids stay valid?"


async def test_fast_asks_nobody(server: OpenAIServer, make_model: MakeModel) -> None:
    assert (await phrase(QUESTION, "fast", make_model())).questions == (QUESTION,)
    assert server.requests == []


async def test_without_a_language_model_there_is_the_question_alone() -> None:
    phrasings = await phrase(QUESTION, "thorough", None)
    assert (phrasings.questions, phrasings.hypothetical, phrasings.notice) == ((QUESTION,), "", "")


async def test_balanced_adds_phrasings_in_one_call(server: OpenAIServer, make_model: MakeModel) -> None:
    others = [
        "1. What is the validity period of a tender?",
        "- “Bid validity”",
        "how long do BIDS stay valid",
        "x",
        "y",
    ]
    server.script(Reply(json.dumps({"phrasings": others})))
    phrasings = await phrase(QUESTION, "balanced", make_model())
    assert phrasings.questions == (QUESTION, "What is the validity period of a tender?", "Bid validity")
    assert phrasings.hypothetical == ""
    assert len(server.requests) == 1


async def test_thorough_adds_parts_and_a_passage_in_one_call(
    server: OpenAIServer, make_model: MakeModel
) -> None:
    reply = {
        "phrasings": ["Hiệu lực của hồ sơ dự thầu?", "", "   ", "x" * 500],
        "parts": ["Hồ sơ dự thầu là gì?", "Hồ sơ dự thầu là gì"],
        "hypothetical": "Hồ sơ dự thầu có hiệu lực\n120 ngày. " + "Dài. " * 500,
    }
    server.script(Reply(json.dumps(reply)))
    phrasings = await phrase("Hồ sơ dự thầu có hiệu lực bao lâu?", "thorough", make_model())
    assert phrasings.questions == (
        "Hồ sơ dự thầu có hiệu lực bao lâu?",
        "Hiệu lực của hồ sơ dự thầu?",
        "Hồ sơ dự thầu là gì?",
    )
    assert phrasings.hypothetical.startswith("Hồ sơ dự thầu có hiệu lực 120 ngày.")
    assert len(phrasings.hypothetical) <= 800
    assert len(server.requests) == 1


@pytest.mark.parametrize("mode", ["balanced", "thorough"])
@pytest.mark.parametrize(
    "reply", [Reply(status=500), Reply('{"phrasings": ["a'), Reply('["a"]'), Reply(hang_after=0)]
)
async def test_a_failure_leaves_the_question_and_a_notice(
    server: OpenAIServer, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch, mode: str, reply: Reply
) -> None:
    monkeypatch.setattr("engine.answering.phrasings.TIMEOUT", 0.3)
    server.script(reply)
    phrasings = await phrase(QUESTION, mode, make_model())  # type: ignore[arg-type]
    assert phrasings.questions == (QUESTION,)
    assert phrasings.notice.startswith("Only the question itself was searched for.")
