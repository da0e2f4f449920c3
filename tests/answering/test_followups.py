"""Follow-up questions: found, made standalone, and nothing else touched."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from engine.answering.base import Exchange
from engine.answering.followups import resolve
from engine.answering.references import refers_back
from engine.text.normalisation import fold_diacritics
from tests.answering.conftest import MakeModel
from tests.answering.dialogues import FOLLOW_UPS, STANDALONE
from tests.openai_server import OpenAIServer, Reply

pytestmark = pytest.mark.anyio

HISTORY = (
    Exchange("What is the deadline for contractors to submit bids?", "20 days [1]."),
    Exchange("Who opens them?", "The procuring entity [2]."),
)


def test_nearly_every_follow_up_is_recognised() -> None:
    missed = [question for _, question, _ in FOLLOW_UPS if not refers_back(question)]
    assert len(missed) <= 0.05 * len(FOLLOW_UPS), missed


def test_no_standalone_question_is_mistaken() -> None:
    assert [question for question in STANDALONE if refers_back(question)] == []


@pytest.mark.parametrize(
    ("collection", "most"), [("xquad-en", 0.03), ("squad2-en", 0.03), ("xquad-vi", 0.03), ("cranfield", 0.02)]
)
def test_few_real_questions_are_mistaken(shared_data: Path, collection: str, most: float) -> None:
    """Most of those found do point back ("When was this edict declared?"): 2.3 % on xquad-en."""
    lines = (shared_data / collection / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line)["text"] for line in lines]
    assert sum(map(refers_back, questions)) <= most * len(questions)
    if collection == "xquad-vi":
        assert sum(refers_back(fold_diacritics(question)) for question in questions) <= 0.01 * len(questions)


@pytest.mark.parametrize(("earlier", "question", "word"), FOLLOW_UPS)
async def test_what_is_searched_for_holds_both_questions(earlier: str, question: str, word: str) -> None:
    resolved = await resolve(question, [Exchange(earlier, "…")])
    if refers_back(question):
        assert word in resolved.replace("Thời", "thời").lower().replace("tesla", "Tesla") or word in resolved


@pytest.mark.parametrize("question", STANDALONE)
async def test_standalone_questions_are_left_as_they_are(question: str) -> None:
    assert await resolve(question, HISTORY) == question


async def test_how_a_follow_up_reads() -> None:
    assert await resolve("and for consultants?", HISTORY[:1]) == (
        "What is the deadline for contractors to submit bids? And for consultants?"
    )
    assert await resolve(
        "còn với nhà thầu phụ thì sao?", [Exchange("Thời hạn nộp hồ sơ là bao lâu", "")]
    ) == ("Thời hạn nộp hồ sơ là bao lâu? Còn với nhà thầu phụ thì sao?")


async def test_a_chain_of_follow_ups_goes_back_to_where_it_began() -> None:
    assert await resolve("and for consultants?", HISTORY) == (
        "What is the deadline for contractors to submit bids? Who opens them? And for consultants?"
    )


async def test_only_another_year() -> None:
    assert await resolve("and in 2024?", [Exchange("What was the revenue in 2023?", "")]) == (
        "What was the revenue in 2024?"
    )
    assert await resolve("thế còn năm 2024?", [Exchange("Lương cơ sở năm 2023 là bao nhiêu?", "")]) == (
        "Lương cơ sở năm 2024 là bao nhiêu?"
    )
    assert await resolve("and in 2024?", [Exchange("What is the revenue?", "")]) == (
        "What is the revenue? And in 2024?"
    )


async def test_without_history_nothing_changes() -> None:
    assert await resolve("and for consultants?", []) == "and for consultants?"


async def test_the_length_is_bounded() -> None:
    history = [Exchange("What is " + "very " * 500 + "long?", "")] + [Exchange("And why is it so?", "")] * 20
    assert len(await resolve("and for consultants?", history)) <= 700


async def test_a_language_model_rewrites_what_refers_back(
    server: OpenAIServer, make_model: MakeModel
) -> None:
    server.script(Reply('{"question": "What is the deadline\\nfor consultants to submit bids? "}'))
    resolved = await resolve("and for consultants?", HISTORY, make_model())
    assert resolved == "What is the deadline for consultants to submit bids?"
    assert "Who opens them?" in server.requests[0].prompt
    assert "[2]" not in server.requests[0].prompt
    assert server.requests[0].prompt.endswith("Last question: and for consultants?")


async def test_a_language_model_is_not_asked_about_a_question_that_plainly_stands_alone(
    server: OpenAIServer, make_model: MakeModel
) -> None:
    question = "Which documents must a joint venture submit with its bid under the 2023 law?"
    assert await resolve("Who approves the plan for choosing contractors?", HISTORY, make_model()) != ""
    assert server.requests == []
    assert await resolve(question, (), make_model()) == question
    assert server.requests == []


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=500),
        Reply("no JSON"),
        Reply('{"question": ""}'),
        Reply('{"question": "%s"}' % ("x" * 700)),
    ],
)
async def test_a_language_model_that_fails_leaves_it_to_the_rules(
    server: OpenAIServer, make_model: MakeModel, reply: Reply
) -> None:
    server.script(reply)
    assert await resolve("and for consultants?", HISTORY[:1], make_model()) == (
        "What is the deadline for contractors to submit bids? And for consultants?"
    )


async def test_a_slow_language_model_is_not_waited_for(
    server: OpenAIServer, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.answering.followups.TIMEOUT", 0.2)
    server.script(Reply(hang_after=0))
    began = time.monotonic()
    assert (await resolve("and for consultants?", HISTORY[:1], make_model())).endswith("And for consultants?")
    assert time.monotonic() - began < 3
