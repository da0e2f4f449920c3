"""BAAI/bge-m3 (Chen et al. 2024) through FlagEmbedding: 100 languages, long passages, wants a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from engine.errors import ModelUnavailable
from engine.inference.device import best_device
from engine.retrieval.embedders.base import Embedding
from engine.retrieval.embedders.local import LocalEmbedder, open_local
from engine.retrieval.embedders.options import EmbedderOptions

DIMENSION = 1024
LIMIT = 2048  # tokens; more than a passage has
BATCH_CHARACTERS = 8192


async def open_bge_m3(options: EmbedderOptions) -> LocalEmbedder:
    """bge-m3, from the hub or a folder. Raises ModelUnavailable."""
    return await open_local("bge-m3", DIMENSION, 0, lambda: _BgeM3(options), batch_size=BATCH_CHARACTERS)


class _BgeM3:
    def __init__(self, options: EmbedderOptions) -> None:
        if find_spec("FlagEmbedding") is None:
            raise ModelUnavailable(
                "bge-m3 needs FlagEmbedding.", hint="Install it: pip install FlagEmbedding"
            )
        from FlagEmbedding import BGEM3FlagModel  # takes seconds: only where it is asked for

        device = best_device(options.device)
        try:
            self._model: Any = BGEM3FlagModel(options.bge_model, devices=device, use_fp16=device != "cpu")
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelUnavailable(
                f"The model {options.bge_model} cannot be loaded: {error}",
                hint="Set BGE_EMBEDDER_NAME to a folder that holds it, or let this machine reach the hub.",
            ) from error

    def prepare(self, text: str, is_query: bool) -> str:
        return text

    def embed(self, batch: Sequence[str]) -> list[Embedding]:
        # A batch size above the number of texts keeps it from drawing progress bars.
        made = self._model.encode(list(batch), batch_size=len(batch) + 1, max_length=LIMIT)["dense_vecs"]
        vectors = np.asarray(made, np.float32)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return [Embedding(vector) for vector in vectors]
