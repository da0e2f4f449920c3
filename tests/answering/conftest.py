"""A real client against a local server that speaks the OpenAI protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from engine.answering.language_model import LanguageModel
from tests.openai_server import OpenAIServer, Reply

MakeModel = Callable[..., LanguageModel]


@pytest.fixture(scope="session")
def _running_server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as running:
        yield running


@pytest.fixture
def server(_running_server: OpenAIServer) -> OpenAIServer:
    """The local server with nothing scripted or recorded."""
    _running_server.script()
    _running_server.default = Reply()
    _running_server.refuse = set()
    return _running_server


@pytest.fixture
async def make_model(server: OpenAIServer) -> AsyncIterator[MakeModel]:
    """Makes models that ask the local server, and closes them."""
    made: list[LanguageModel] = []

    def make(**given: object) -> LanguageModel:
        defaults: dict[str, object] = {
            "model": "scripted",
            "api_key": "sk-secret",
            "base_url": server.url,
            "timeout_seconds": 5.0,
            "max_retries": 0,
        }
        made.append(LanguageModel(**(defaults | given)))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for model in made:
        await model.aclose()
