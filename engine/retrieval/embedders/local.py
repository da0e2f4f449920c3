"""An embedder whose model runs in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from engine.retrieval.embedders.base import Embedding
from engine.retrieval.embedders.worker import EmbeddingModel, Worker


class LocalEmbedder:
    """Passes texts to the one worker that owns the model."""

    def __init__(
        self, name: str, dimension: int, token_dimension: int, make: Callable[[], Worker[Any]]
    ) -> None:
        """make: a worker whose model is not loaded yet."""
        self.name = name
        self.dimension = dimension
        self.token_dimension = token_dimension
        self._make = make
        self._worker = make()

    async def start(self) -> None:
        """Load the model. Raises ModelUnavailable."""
        await self._worker.start()

    async def embed_query(self, text: str) -> Embedding:
        return await self._worker.embed(text, is_query=True)

    async def embed_passages(self, texts: Sequence[str]) -> list[Embedding]:
        return await self._worker.embed_many(texts)

    async def reload(self) -> None:
        """Load the model anew; the one in use serves until that is done, and stays if it fails.

        Raises ModelUnavailable.
        """
        fresh = self._make()
        await fresh.start()
        old, self._worker = self._worker, fresh
        await old.aclose()

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
    embedder = LocalEmbedder(
        name, dimension, token_dimension, lambda: Worker(name, load, batch_size=batch_size)
    )
    await embedder.start()
    return embedder
