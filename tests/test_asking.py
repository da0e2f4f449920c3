"""From a question to a kept answer: with and without a language model, whole, stopped and broken."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from engine.answering.model import Answer, Answered, AnswerText, Stage
from engine.documents.jobs import Upload
from engine.documents.model import DocumentFilter
from engine.engine import Engine
from engine.errors import BadInput, NotFound

from .conftest import OpenEngine
from .openai_server import OpenAIServer, Reply

pytestmark = pytest.mark.anyio

FILES = {
    "mua sắm.md": "# Quy chế mua sắm\n\n## Điều 5. Bảo đảm dự thầu\n\n"
    "Mức bảo đảm dự thầu là 2% giá gói thầu. Bảo đảm có hiệu lực 120 ngày.\n\n"
    "## Điều 6. Hội đồng\n\nHội đồng xét thầu có năm thành viên do giám đốc chỉ định.\n",
    "travel.md": "# Travel policy\n\n## Meals\n\nMeals abroad are refunded up to 45 euros a day. "
    "Receipts are handed in within ten days.\n\n## Trains\n\nTrains are booked in second class.\n",
}


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as running:
        yield running


async def stock(engine: Engine) -> None:
    job = await engine.ingestion.submit([Upload(name, text.encode()) for name, text in FILES.items()])
    await engine.ingestion.wait(job.id)


@pytest.fixture(scope="module")
async def quoting(open_test_engine: OpenEngine) -> AsyncIterator[Engine]:
    async with open_test_engine() as engine:
        await stock(engine)
        yield engine


@pytest.fixture(scope="module")
async def writing(open_test_engine: OpenEngine, server: OpenAIServer) -> AsyncIterator[Engine]:
    async with open_test_engine(
        openai_api_key="test", openai_base_url=server.url, openai_timeout_seconds=2, openai_max_retries=1
    ) as engine:
        await stock(engine)
        yield engine


async def test_a_new_question_goes_to_the_database_no_more_often_than_it_must(quoting: Engine) -> None:
    await quoting.ask("Within how many days are receipts for trains handed in?")
    (trace,) = quoting.traces.recent(1)
    reads = [span for span in trace.spans if span.name == "database: read"]
    # The scope, two look-ups in the lasting cache, the search, the passages' token vectors; now and
    # then what operators chose.
    assert 4 <= len(reads) <= 6
    assert trace.cache["answer"] == "miss"


async def test_without_a_language_model_the_answer_is_quotes(quoting: Engine) -> None:
    answer = await quoting.ask("How much is refunded for meals abroad?")
    assert answer.kind == "quotes"
    citation = answer.citations[0]
    assert citation.quote == "Meals abroad are refunded up to 45 euros a day."
    assert citation.quote in answer.text
    assert answer.sources[citation.number - 1].passage == citation.passage


@pytest.mark.parametrize(
    "question", ["Mức bảo đảm dự thầu là bao nhiêu?", "muc bao dam du thau la bao nhieu"]
)
async def test_vietnamese_with_and_without_diacritics(quoting: Engine, question: str) -> None:
    answer = await quoting.ask(question)
    assert "2% giá gói thầu" in answer.citations[0].quote


async def test_what_the_documents_do_not_hold_is_said_and_the_nearest_shown(quoting: Engine) -> None:
    answer = await quoting.ask("What is the boiling point of tungsten?")
    assert answer.kind == "no_answer"
    assert answer.citations == ()
    assert answer.sources


async def test_events_come_in_order_and_end_with_the_answer(quoting: Engine) -> None:
    events = [event async for event in quoting.stream("How are trains booked?")]
    stages = [event.name for event in events if isinstance(event, Stage)]
    assert stages == ["understanding", "searching", "reranking", "reading", "writing"]
    assert isinstance(events[-1], Answered)
    streamed = "".join(event.text for event in events if isinstance(event, AnswerText))
    assert events[-1].answer.citations[0].quote in streamed


async def test_a_follow_up_is_resolved_against_the_session(quoting: Engine) -> None:
    session = await quoting.sessions.create()
    await quoting.ask("Mức bảo đảm dự thầu là bao nhiêu?", session_id=session.id)
    answer = await quoting.ask("Thế còn hiệu lực của nó?", session_id=session.id)
    assert answer.question == "Thế còn hiệu lực của nó?"
    assert "bảo đảm dự thầu" in answer.standalone_question
    assert any("120 ngày" in citation.quote for citation in answer.citations)


async def test_the_receipt_explains_the_answer(quoting: Engine) -> None:
    question = "When are receipts handed in?"
    first, second = await quoting.ask(question), await quoting.ask(question)
    assert first.receipt.cache["retrieval"] == "miss"
    assert second.receipt.cache["retrieval"] == "L1"
    assert {"embedder", "reranker", "answerer"} <= first.receipt.models.keys()
    assert {timing.name for timing in first.receipt.stages} >= {"search", "reranking", "reading", "writing"}
    assert 0 < first.receipt.candidates_after <= first.receipt.candidates_before
    assert first.receipt.total_ms >= max(timing.milliseconds for timing in first.receipt.stages)


async def test_a_cached_answer_never_outlives_its_document(open_test_engine: OpenEngine) -> None:
    async with open_test_engine() as engine:
        await stock(engine)
        question = "How are trains booked?"
        assert "second class" in (await engine.ask(question)).text
        changed = FILES["travel.md"].replace("second class", "first class")
        job = await engine.ingestion.submit([Upload("travel.md", changed.encode())])
        await engine.ingestion.wait(job.id)
        assert "first class" in (await engine.ask(question)).text


@pytest.mark.parametrize(
    "question", ["", "  \n ", "?!…", "\u200b\u200b", "🙂🙂🙂", "x" * 100_000], ids=lambda q: repr(q[:8])
)
async def test_what_cannot_be_asked_is_refused_plainly(quoting: Engine, question: str) -> None:
    with pytest.raises(BadInput) as error:
        await quoting.ask(question)
    assert error.value.hint


@pytest.mark.parametrize(
    "question",
    [
        "'; DROP TABLE documents; --",
        "SELECT * FROM passages WHERE '1'='1'",
        "meals 🙂 食事 приём пищи وجبات bữa ăn",
        "100% _ \\ % meals",
        "a" * 3000,
        "\x00\x07meals\x1b[31m",
    ],
)
async def test_odd_questions_are_only_questions(quoting: Engine, question: str) -> None:
    answer = await quoting.ask(question)
    assert isinstance(answer, Answer)
    assert (await quoting.documents.statistics()).documents == len(FILES)


async def test_an_empty_corpus_has_no_answer(engine: Engine) -> None:
    answer = await engine.ask("How are trains booked?")
    assert (answer.kind, answer.sources) == ("no_answer", ())
    assert await engine.suggestions() == []


async def test_unknown_names_are_refused_with_the_known_ones(quoting: Engine) -> None:
    with pytest.raises(BadInput, match="built-in"):
        await quoting.ask("meals?", reranker="magic")
    with pytest.raises(BadInput, match="hybrid"):
        await quoting.search("meals?", pipeline="magic")
    with pytest.raises(NotFound):
        await quoting.ask("meals?", session_id=uuid4())


async def test_a_written_answer_cites_and_is_kept_with_its_tokens(
    writing: Engine, server: OpenAIServer
) -> None:
    server.script(Reply("Meals abroad are refunded up to 45 euros a day [1]. See also [99]."))
    session = await writing.sessions.create()
    answer = await writing.ask("How much is refunded for meals abroad?", session_id=session.id)
    assert answer.kind == "generated"
    assert answer.citations[0].quote == "Meals abroad are refunded up to 45 euros a day."
    assert "[99]" not in answer.text
    assert answer.removed_citations == 1
    assert answer.receipt.completion_tokens > 0
    (turn,) = await writing.sessions.turns(session.id)
    assert turn.answer == answer


async def test_the_model_is_given_exactly_the_sources_that_are_listed(
    writing: Engine, server: OpenAIServer
) -> None:
    server.script(Reply("Second class [1]."))
    answer = await writing.ask("In which class are trains booked?")
    (request,) = [r for r in server.requests if r.body.get("stream")]
    prompt = "".join(str(message["content"]) for message in request.messages)
    for source in answer.sources:
        assert source.passage.text in prompt


@pytest.mark.parametrize("failure", [Reply(status=500), Reply(status=429), Reply(hang_after=0)])
async def test_a_failing_model_leaves_quotes_and_says_why(
    writing: Engine, server: OpenAIServer, failure: Reply
) -> None:
    server.script(failure, failure)
    answer = await writing.ask("How much is refunded for meals abroad?")
    assert answer.kind == "quotes"
    assert "45 euros" in answer.text
    assert "quotes from your documents" in answer.notice


async def test_a_broken_stream_keeps_what_came(writing: Engine, server: OpenAIServer) -> None:
    server.script(Reply("Meals are refunded up to 45 euros a day [1]. And then", break_after=8))
    session = await writing.sessions.create()
    answer = await writing.ask("How much is refunded for meals abroad?", session_id=session.id)
    assert not answer.complete
    assert answer.notice
    (turn,) = await writing.sessions.turns(session.id)
    assert turn.answer.text.startswith("Meals are refunded")


async def test_stopping_keeps_what_was_written_and_stops_the_model(
    writing: Engine, server: OpenAIServer
) -> None:
    server.script(Reply("Meals are refunded up to 45 euros a day [1]. " * 50, delay_between=0.02))
    session = await writing.sessions.create()
    async with contextlib.aclosing(
        writing.stream("How much is refunded for meals abroad?", session_id=session.id)
    ) as events:
        seen = 0
        async for event in events:
            seen += isinstance(event, AnswerText)
            if seen == 5:
                break
    assert await server.disconnected()
    (turn,) = await writing.sessions.turns(session.id)
    assert turn.answer.text.startswith("Meals are refunded")
    assert not turn.answer.complete


async def test_stopping_before_the_first_word_keeps_the_question(
    writing: Engine, server: OpenAIServer
) -> None:
    server.script(Reply("late", delay_first=30))
    session = await writing.sessions.create()
    asking = asyncio.create_task(writing.ask("How are trains booked?", session_id=session.id))
    while not server.requests:
        await asyncio.sleep(0.01)
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    (turn,) = await writing.sessions.turns(session.id)
    assert (turn.answer.question, turn.answer.complete) == ("How are trains booked?", False)


async def test_thorough_searches_several_phrasings_and_says_which(
    writing: Engine, server: OpenAIServer
) -> None:
    phrasings = (
        '{"phrasings": ["train ticket class", "rail travel rules"], "parts": ["which class on trains"],'
        ' "hypothetical": "Trains are booked in second class by the office."}'
    )
    server.script(Reply(phrasings), Reply("Second class [1]."))
    answer = await writing.ask("In which class do we ride?", mode="thorough")
    assert "train ticket class" in answer.receipt.phrasings
    assert "second class" in answer.citations[0].quote


async def test_the_scope_is_obeyed(quoting: Engine) -> None:
    answer = await quoting.ask("How are trains booked?", filter=DocumentFilter(languages=("vi",)))
    assert {source.passage.document_title for source in answer.sources} == {"Quy chế mua sắm"}


async def test_without_its_embedder_words_alone_are_searched(open_test_engine: OpenEngine) -> None:
    with OpenAIServer(dimension=1536) as remote:
        async with open_test_engine(
            embedder="openai", openai_api_key="test", openai_base_url=remote.url, openai_max_retries=0
        ) as engine:
            await stock(engine)
            remote.script(*[Reply(status=500)] * 9)
            answer = await engine.ask("How are trains booked?")
            assert "second class" in answer.text
            assert "words only" in answer.notice

            remote.script()
            again = await engine.ask("How are trains booked?")
            assert "words only" not in again.notice  # what was left out is not kept


async def test_a_thousand_people_who_ask_the_same_need_the_model_once(open_test_engine: OpenEngine) -> None:
    async with open_test_engine() as engine:
        await stock(engine)
        answers = await asyncio.gather(*(engine.ask("How are trains booked?") for _ in range(1000)))
        assert {answer.text for answer in answers} == {answers[0].text}
        assert engine.caches.embeddings.memory.counts.writes == 1
        assert engine.caches.results.memory.counts.writes == 1
