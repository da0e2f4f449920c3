"""An embedder whose model runs in this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from engine.retrieval.embedders.base import Embedding
from engine.retrieval.embedders.worker import BatchModel, Worker


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
    name: str, dimension: int, token_dimension: int, load: Callable[[], BatchModel[Any]], *, batch_size: int
) -> LocalEmbedder:
    """A loaded embedder. Raises ModelUnavailable."""
    worker = Worker(name, load, batch_size=batch_size)
    await worker.start()
    return LocalEmbedder(name, dimension, token_dimension, worker)


def cores(threads: int) -> int:
    """`threads`, or where that is 0 as many as this process has cores."""
    if threads:
        return threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
