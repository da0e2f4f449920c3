"""The load test tells the truth: its users get answers from a real server, and what fails is counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from benchmarks.loading.corpus import Corpus, stock
from benchmarks.loading.measuring import crowd, fresh, summed_up
from benchmarks.loading.serving import Served
from benchmarks.loading.users import Load
from benchmarks.loading.watch import Seen, watching

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def corpus(anyio_backend: str, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The sample files in a home of its own, with the run's prepared models."""
    folder = tmp_path_factory.mktemp("load")
    if (home / "models").is_dir():
        (folder / "models").symlink_to(home / "models")
    return await stock(folder, sample=True)


@pytest.fixture(scope="module")
async def served(corpus: Corpus) -> AsyncIterator[Served]:
    with fresh(corpus) as running:
        yield running


async def test_users_ask_over_rest_and_in_the_browser(corpus: Corpus, served: Served) -> None:
    for protocol, kinds in (("rest", 5), ("browser", 3)):
        load = Load(served.address, 5, 0.5, 0.2, corpus.questions, protocol, think=(0.05, 0.1))
        async with watching(served) as seen:
            asked = await crowd(load, seen)
        figures = summed_up(5, asked, seen)
        assert figures["questions"] >= 15
        assert figures["success"] == 1, figures["errors"]
        assert len(figures["by kind"]) == kinds
        assert 0 < figures["p50"] <= figures["p95"] <= figures["p99"]
        assert seen.gained("dossier_questions_total") == figures["questions"]
        assert protocol == "browser" or figures["found in"]["L1"] > 0


async def test_what_fails_is_counted(corpus: Corpus) -> None:
    nobody = Load("http://127.0.0.1:9", 2, 0.1, 0.1, corpus.questions, think=(0.0, 0.01))
    asked = await crowd(nobody, Seen())
    assert asked and all(one.error for one in asked)
