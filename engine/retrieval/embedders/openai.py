"""Embeddings from OpenAI, or from anything that speaks its protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import Unavailable
from engine.retrieval.embedders.base import Embedding
from engine.retrieval.embedders.options import EmbedderOptions

if TYPE_CHECKING:
    from openai import AsyncOpenAI

DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
BATCH = 64  # texts a request
REQUESTS = 4  # at once
CHARACTERS = 16_000  # of a text; the models read 8,191 tokens


async def open_openai(options: EmbedderOptions) -> OpenAIEmbedder:
    """The endpoint's embedder; an unknown model is asked for its dimension. Raises Unavailable."""
    if not options.openai_api_key:
        raise Unavailable("The openai embedder needs a key.", hint="Set OPENAI_API_KEY.")
    from openai import AsyncOpenAI  # 30 MB and a second: only where it is asked for

    client = AsyncOpenAI(
        api_key=options.openai_api_key,
        base_url=options.openai_base_url,
        timeout=options.openai_timeout_seconds,
    )
    embedder = OpenAIEmbedder(client, options.openai_model, DIMENSIONS.get(options.openai_model, 0))
    if not embedder.dimension:
        try:
            embedder.dimension = len((await embedder.embed_query("dimension")).vector)
        except BaseException:
            await embedder.aclose()
            raise
    return embedder


class OpenAIEmbedder:
    """One vector a text. dimension: of every vector; 0 takes what comes."""

    token_dimension = 0

    def __init__(self, client: AsyncOpenAI, model: str, dimension: int) -> None:
        self.name = f"openai/{model}"
        self.dimension = dimension
        self._client = client
        self._model = model
        self._free = asyncio.Semaphore(REQUESTS)

    async def embed_query(self, text: str) -> Embedding:
        return (await self._request([text]))[0]

    async def embed_passages(self, texts: Sequence[str]) -> list[Embedding]:
        starts = range(0, len(texts), BATCH)
        groups = await asyncio.gather(*(self._request(texts[start : start + BATCH]) for start in starts))
        return [embedding for group in groups for embedding in group]

    async def aclose(self) -> None:
        await self._client.close()

    async def _request(self, texts: Sequence[str]) -> list[Embedding]:
        from openai import APIConnectionError, APIStatusError, OpenAIError

        asked = [text[:CHARACTERS] or " " for text in texts]  # the endpoint refuses an empty one
        try:
            async with self._free:
                response = await self._client.embeddings.create(
                    input=asked, model=self._model, encoding_format="float"
                )
        except APIConnectionError as error:
            raise Unavailable(
                "The embedding endpoint does not answer.", hint="Check OPENAI_BASE_URL."
            ) from error
        except APIStatusError as error:
            raise Unavailable(
                f"The embedding endpoint refused ({error.status_code}): {error.message}"
            ) from error
        except OpenAIError as error:
            raise Unavailable(f"The embedding endpoint failed: {error}") from error
        vectors = [
            np.asarray(item.embedding, np.float32) for item in sorted(response.data, key=lambda i: i.index)
        ]
        expected = self.dimension or (len(vectors[0]) if vectors else 0)
        if len(vectors) != len(texts) or not expected or any(len(vector) != expected for vector in vectors):
            raise Unavailable(
                f"The embedding endpoint's answer does not fit {self._model} ({expected} dimensions)."
            )
        return [Embedding(vector / max(float(np.linalg.norm(vector)), 1e-12)) for vector in vectors]
