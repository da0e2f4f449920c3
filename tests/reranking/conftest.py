"""A bge model of random weights, its fast form prepared once for the run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from engine.documents.model import Passage
from engine.reranking.bge import open_bge
from engine.reranking.local import LocalReranker
from engine.reranking.options import RerankerOptions

from ..answering.parts import source
from .bge_folder import make_bge_folder

OpenBge = Callable[..., LocalReranker]

QUESTION = "How long must a bid be valid?"


def passages(*texts: str) -> list[Passage]:
    return [source(text, id=n).passage for n, text in enumerate(texts, start=1)]


def order(values: Sequence[float | None]) -> list[int]:
    return sorted(range(len(values)), key=lambda n: -(values[n] or 0.0))


@pytest.fixture(scope="session")
def bge_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bge_folder(tmp_path_factory.mktemp("hub") / "bge-reranker-v2-m3")


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture
async def bge(bge_folder: Path, models_folder: Path) -> AsyncIterator[OpenBge]:
    """Opens bge, by default on the random model, and closes it."""
    opened: list[LocalReranker] = []

    def build(**given: object) -> LocalReranker:
        options: dict[str, object] = {
            "models_folder": models_folder,
            "bge_model": str(bge_folder),
            "device": "cpu",
            "timeout_seconds": 30.0,
        }
        opened.append(open_bge(RerankerOptions(**(options | given))))  # type: ignore[arg-type]
        return opened[-1]

    yield build
    for reranker in opened:
        await reranker.aclose()
