"""An embedder whose model runs in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from engine.retrieval.embedders.base import Embedding
from engine.retrieval.embedders.worker import EmbeddingModel, Worker


class LocalEmbedder:
    """Passes texts to the one worker that owns the model."""

    def __init__(self, name: str, dimension: int, token_dimension: int, worker: Worker[Any]) -> None:
        self.name = name
        self.dimension = dimension
        self.token_dimension = token_dimension
        self._worker = worker

    async def embed_query(self, text: str) -> Embedding:
        return await self._worker.embed(text, is_query=True)

    async def embed_passages(self, texts: Sequence[str]) -> list[Embedding]:
        return await self._worker.embed_many(texts)

    async def aclose(self) -> None:
        await self._worker.aclose()


async def open_local(
    name: str,
    dimension: int,
    token_dimension: int,
    load: Callable[[], EmbeddingModel[Any]],
    *,
    batch_size: int,
) -> LocalEmbedder:
    """A loaded embedder. Raises ModelUnavailable."""
    worker = Worker(name, load, batch_size=batch_size)
    await worker.start()
    return LocalEmbedder(name, dimension, token_dimension, worker)
