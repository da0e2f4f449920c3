"""The openai embedder against a server that speaks the protocol."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.errors import BadInput, ModelUnavailable, Unavailable
from engine.retrieval.embedders import EMBEDDERS, EmbedderOptions, open_embedder
from tests.openai_server import OpenAIServer

pytestmark = pytest.mark.anyio


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(dimension=64) as server:
        yield server


def _options(server: OpenAIServer, tmp_path: Path, **given: object) -> EmbedderOptions:
    defaults: dict[str, object] = {"openai_api_key": "test", "openai_model": "local-embedder"}
    return EmbedderOptions(tmp_path, openai_base_url=server.url, **(defaults | given))  # type: ignore[arg-type]


async def test_an_unknown_model_is_asked_for_its_dimension(server: OpenAIServer, tmp_path: Path) -> None:
    embedder = await open_embedder("openai", _options(server, tmp_path))
    assert (embedder.dimension, embedder.token_dimension) == (64, 0)
    assert embedder.name == "openai/local-embedder"
    await embedder.aclose()


async def test_texts_come_back_in_order_and_of_unit_length(server: OpenAIServer, tmp_path: Path) -> None:
    embedder = await open_embedder("openai", _options(server, tmp_path))
    texts = [f"passage {number} của hồ sơ" for number in range(150)]
    many = await embedder.embed_passages([*texts, ""])
    assert len(many) == 151
    for number in (0, 64, 149):
        one = await embedder.embed_query(texts[number])
        assert np.allclose(one.vector, many[number].vector)
        assert abs(float(np.linalg.norm(one.vector)) - 1) < 1e-5
        assert one.tokens is None
    assert await embedder.embed_passages([]) == []
    await embedder.aclose()


async def test_a_model_of_known_dimension_must_keep_to_it(server: OpenAIServer, tmp_path: Path) -> None:
    embedder = await open_embedder(
        "openai", _options(server, tmp_path, openai_model="text-embedding-3-small")
    )
    assert embedder.dimension == 1536
    with pytest.raises(Unavailable, match="1536"):
        await embedder.embed_query("served with 64")
    await embedder.aclose()


async def test_no_key_and_no_answer_are_told_apart(server: OpenAIServer, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="OPENAI_API_KEY"):
        await open_embedder("openai", _options(server, tmp_path, openai_api_key=""))
    dead = EmbedderOptions(tmp_path, openai_api_key="test", openai_base_url="http://127.0.0.1:9/v1")
    embedder = await open_embedder("openai", dead)
    with pytest.raises(Unavailable, match="does not answer"):
        await embedder.embed_query("anyone?")
    await embedder.aclose()


async def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        await open_embedder("word2vec", EmbedderOptions(tmp_path))
    assert all(name in str(caught.value) for name in EMBEDDERS)


async def test_bge_without_its_package_or_weights_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        await open_embedder("bge-m3", EmbedderOptions(tmp_path, bge_model=str(tmp_path / "nowhere")))
    assert caught.value.hint
