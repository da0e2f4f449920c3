"""OpenAI's own client talks to the documents."""

from __future__ import annotations

import httpx2 as httpx
import openai
import pytest

from tests.openai_server import OpenAIServer, Reply

from .conftest import QUESTION

pytestmark = pytest.mark.anyio


def talking_to(client: httpx.AsyncClient) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key="none", base_url=f"{client.base_url}/v1", max_retries=0)


async def test_a_whole_answer_holds_its_citations(client: httpx.AsyncClient) -> None:
    async with talking_to(client) as ai:
        assert [model.id async for model in ai.models.list()] == [
            "dossier",
            "dossier-balanced",
            "dossier-thorough",
        ]
        done = await ai.chat.completions.create(
            model="dossier",
            temperature=0.3,
            messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}],
        )
    assert "45 euros" in (done.choices[0].message.content or "")
    assert done.choices[0].finish_reason == "stop"
    assert done.model_extra is not None
    cited = done.model_extra["citations"][0]
    assert (cited["number"], cited["title"]) == (1, "Travel policy")
    assert "45 euros" in cited["quote"]
    assert done.model_extra["dossier"]["kind"] == "quotes"


async def test_a_streamed_answer_ends_with_citations_and_usage(
    written: httpx.AsyncClient, language_model: OpenAIServer
) -> None:
    language_model.script(Reply("Up to 45 euros a day [1]."))
    async with talking_to(written) as ai:
        chunks = [
            chunk
            async for chunk in await ai.chat.completions.create(
                model="dossier",
                stream=True,
                stream_options={"include_usage": True},
                messages=[{"role": "user", "content": [{"type": "text", "text": QUESTION}]}],
            )
        ]
    said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert said == "Up to 45 euros a day [1]."
    assert chunks[0].choices[0].delta.role == "assistant"
    last = chunks[-2]
    assert last.choices[0].finish_reason == "stop"
    assert last.model_extra is not None
    assert "45 euros" in last.model_extra["citations"][0]["quote"]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


async def test_earlier_messages_are_what_a_follow_up_refers_to(
    written: httpx.AsyncClient, language_model: OpenAIServer
) -> None:
    language_model.script(
        Reply("How soon are receipts for meals abroad handed in?"), Reply("Within ten days [1].")
    )
    async with talking_to(written) as ai:
        await ai.chat.completions.create(
            model="dossier",
            messages=[
                {"role": "user", "content": QUESTION},
                {"role": "assistant", "content": "Up to 45 euros a day."},
                {"role": "user", "content": "And how soon for the receipts of it?"},
            ],
        )
    assert any("Up to 45 euros a day." in str(request.messages) for request in language_model.requests)


async def test_errors_are_such_as_the_client_understands(client: httpx.AsyncClient) -> None:
    async with talking_to(client) as ai:
        with pytest.raises(openai.NotFoundError, match="no model “gpt-9”"):
            await ai.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": "Hi?"}])
        with pytest.raises(openai.UnprocessableEntityError, match="no question"):
            await ai.chat.completions.create(model="dossier", messages=[{"role": "user", "content": " "}])
        with pytest.raises(openai.UnprocessableEntityError, match="no question"):
            await ai.chat.completions.create(
                model="dossier", stream=True, messages=[{"role": "user", "content": "?"}]
            )
