"""Embedders by name. Another one is a file and a line here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from engine.errors import BadInput
from engine.retrieval.embedders.base import Embedder, Embedding, TokenEmbeddings
from engine.retrieval.embedders.bge_m3 import open_bge_m3
from engine.retrieval.embedders.e5 import open_e5
from engine.retrieval.embedders.minilm import open_minilm
from engine.retrieval.embedders.openai import open_openai
from engine.retrieval.embedders.options import EmbedderOptions

__all__ = ["EMBEDDERS", "Embedder", "EmbedderOptions", "Embedding", "TokenEmbeddings", "open_embedder"]

EMBEDDERS: dict[str, Callable[[EmbedderOptions], Awaitable[Embedder]]] = {
    "multilingual-e5-small": open_e5,
    "all-MiniLM-L6-v2": open_minilm,
    "bge-m3": open_bge_m3,
    "openai": open_openai,
}


async def open_embedder(name: str, options: EmbedderOptions) -> Embedder:
    """The embedder of that name, loaded and ready; the caller closes it.

    Raises BadInput for an unknown name, ModelUnavailable or Unavailable if it cannot be loaded.
    """
    try:
        factory = EMBEDDERS[name]
    except KeyError:
        raise BadInput(
            f"No embedder is called {name!r}.", hint=f"Choose from: {', '.join(EMBEDDERS)}."
        ) from None
    return await factory(options)
