"""The worker of an embedder: questions go before passages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, Protocol

from engine.inference import worker
from engine.inference.worker import Prepared
from engine.retrieval.embedders.base import Embedding

GROUP = 64  # passages that one caller has waiting at a time


class EmbeddingModel(Protocol[Prepared]):
    """A model as its worker sees it; only the worker's thread calls it."""

    def prepare(self, text: str, is_query: bool) -> Prepared: ...

    def embed(self, batch: Sequence[Prepared]) -> list[Embedding]: ...


class _Batches(Generic[Prepared]):
    """An EmbeddingModel whose requests are a text and whether it is a question."""

    def __init__(self, model: EmbeddingModel[Prepared]) -> None:
        self._model = model
        self.run = model.embed

    def prepare(self, asked: tuple[str, bool]) -> Prepared:
        return self._model.prepare(*asked)


class Worker(worker.Worker[tuple[str, bool], Prepared, Embedding]):
    """See `engine.inference.worker`; passages keep a question waiting for one batch at most."""

    def __init__(self, name: str, load: Callable[[], EmbeddingModel[Prepared]], *, batch_size: int) -> None:
        super().__init__(f"embedder {name}", lambda: _Batches(load()), batch_size=batch_size)

    async def embed(self, text: str, *, is_query: bool) -> Embedding:
        """Embed one text. Raises ModelUnavailable; Unavailable when closed or overloaded."""
        return await asyncio.wrap_future(self.submit([(text, is_query)], urgent=is_query)[0])

    async def embed_many(self, texts: Sequence[str]) -> list[Embedding]:
        """Embed passages, in order. Raises as `embed`."""
        embeddings: list[Embedding] = []
        for start in range(0, len(texts), GROUP):
            futures = self.submit([(text, False) for text in texts[start : start + GROUP]])
            try:
                embeddings += await asyncio.gather(*map(asyncio.wrap_future, futures))
            finally:
                for future in futures:
                    future.cancel()
        return embeddings
