"""bge: found, prepared, checked, loaded once; and what is told where that cannot be."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest

from engine.errors import ModelUnavailable
from engine.inference import shared
from engine.reranking.agreement import AGREEMENT, PAIRS, agreement
from engine.reranking.bge import prepared_name
from engine.reranking.preparing import REFERENCE

from .bge_folder import make_bge_folder
from .conftest import QUESTION, OpenBge, passages

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).resolve().parents[2]

TEXTS = [passage for _, passage in PAIRS[:8]]


async def test_it_is_prepared_in_the_background_with_progress_and_then_serves(
    bge: OpenBge, bge_folder: Path, models_folder: Path
) -> None:
    reranker = bge()
    assert reranker.state().status == "idle"
    with pytest.raises(ModelUnavailable, match="still being loaded"):
        await reranker.score(QUESTION, passages(*TEXTS))
    loading = reranker.state()
    assert (loading.status, loading.memory_bytes) == ("loading", None)
    seen = set()
    waiting = asyncio.create_task(reranker.loaded())
    while not waiting.done():
        seen.add(reranker.state().why)
        await asyncio.sleep(0.02)
    state = reranker.state()
    assert (state.status, state.why) == ("ready", "")
    assert any("scoring the check set" in why for why in seen), seen
    told = json.loads((models_folder / prepared_name(str(bge_folder)) / REFERENCE).read_text())
    assert told["agreement"] >= AGREEMENT
    scores = await reranker.score(QUESTION, passages(*TEXTS))
    assert (scores.served_by, scores.notice) == ("bge", "")


async def test_it_orders_as_flag_embedding_does(bge: OpenBge, models_folder: Path, bge_folder: Path) -> None:
    reranker = bge()
    await reranker.loaded()
    values: list[float | None] = []
    for question in dict.fromkeys(question for question, _ in PAIRS):
        texts = [passage for asked, passage in PAIRS if asked == question]
        values += (await reranker.score(question, passages(*texts))).values
    told = json.loads((models_folder / prepared_name(str(bge_folder)) / REFERENCE).read_text())
    reference = np.array(told["scores"])
    # The passages' titles stand before them here, so that scores differ a little.
    assert np.corrcoef(reference, np.array(values, float))[0, 1] > 0.5
    assert agreement(reference, reference) == 1.0
    assert agreement(reference, -reference) == -1.0
    assert agreement(reference, reference * np.nan) == -1.0


async def test_sixty_first_uses_at_once_load_it_once(bge: OpenBge) -> None:
    """From several loops and threads, as several engines in one process are."""
    first = bge(threads=1)
    before = psutil.Process().memory_info().rss

    async def use() -> None:
        reranker = bge(threads=1)
        reranker.load()
        await reranker.loaded()
        assert None not in (await reranker.score(QUESTION, passages(*TEXTS[:2]))).values

    def use_elsewhere() -> None:
        async def many() -> None:
            await asyncio.gather(*(use() for _ in range(20)))

        asyncio.run(many())

    threads = [threading.Thread(target=use_elsewhere) for _ in range(2)]
    for thread in threads:
        thread.start()
    await asyncio.gather(*(use() for _ in range(20)))
    await asyncio.to_thread(lambda: [thread.join() for thread in threads])
    [copy] = [model for key, model in shared._shared.items() if key == first._model.key]
    assert (copy.loads, copy.holders) == (1, 61)
    grown = psutil.Process().memory_info().rss - before
    weights = 60 * 16_000_000 * 2  # sixty copies of its half-precision vocabulary alone
    assert grown < weights / 5


async def test_the_last_one_to_close_lets_it_go(bge_folder: Path, models_folder: Path, bge: OpenBge) -> None:
    from engine.reranking.bge import open_bge
    from engine.reranking.options import RerankerOptions

    options = RerankerOptions(models_folder, bge_model=str(bge_folder), device="cpu", threads=2)
    one, other = open_bge(options), open_bge(options)
    await one.loaded()
    await one.aclose()
    assert None not in (await other.score(QUESTION, passages(*TEXTS))).values
    await other.aclose()
    assert other._model.key not in shared._shared


async def test_endless_texts_are_cut(bge: OpenBge) -> None:
    reranker = bge()
    await reranker.loaded()
    endless = passages("dài " * 25_000, "x" * 100_000, "ngắn", "\ud800")
    assert None not in (await reranker.score("Bao lâu? " * 20_000, endless)).values


async def test_reload_takes_the_model_as_it_is_now(bge: OpenBge) -> None:
    reranker = bge()
    await reranker.loaded()
    before = (await reranker.score(QUESTION, passages(*TEXTS))).values
    await asyncio.gather(*(reranker.reload() for _ in range(5)))
    assert reranker.state().status == "loading"
    await reranker.loaded()
    assert reranker.state().status == "ready"
    after = (await reranker.score(QUESTION, passages(*TEXTS))).values
    assert after == pytest.approx(before, abs=0.02)


async def test_a_folder_that_is_not_there_or_empty_is_named_at_once(bge: OpenBge, tmp_path: Path) -> None:
    for model, why in ((tmp_path / "gone", "does not exist"), (tmp_path, "config.json is missing")):
        reranker = bge(bge_model=str(model))
        await reranker.loaded()
        state = reranker.state()
        assert state.status == "failed"
        assert why in state.why
        assert "Set BGE_MODEL_NAME" in state.why
        with pytest.raises(ModelUnavailable, match="cannot serve"):
            await reranker.score(QUESTION, passages(*TEXTS))


async def test_damaged_weights_fail_with_a_reason(bge: OpenBge, bge_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(bge_folder, folder)
    (folder / "model.safetensors").write_bytes(b"\x00" * 1000)
    reranker = bge(bge_model=str(folder))
    await reranker.loaded()
    state = reranker.state()
    assert state.status == "failed"
    assert f"The model in {folder} cannot be loaded" in state.why


async def test_where_the_fast_form_orders_differently_flag_embedding_serves(
    bge: OpenBge, tmp_path: Path
) -> None:
    reranker = bge(bge_model=str(make_bge_folder(tmp_path / "wild", attention=20.0)))
    await reranker.loaded()
    state = reranker.state()
    assert state.status == "ready"
    assert "orders differently (Kendall tau" in state.why
    assert "FlagEmbedding serves" in state.why
    scores = await reranker.score(QUESTION, passages(*TEXTS))
    assert None not in scores.values
    assert scores.served_by == "bge"


async def test_a_hub_that_cannot_be_reached_is_told(
    bge: OpenBge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    reranker = bge(bge_model="BAAI/bge-reranker-v2-m3")
    async with asyncio.timeout(60):
        await reranker.loaded()
    state = reranker.state()
    assert state.status == "failed"
    assert "the hub does not give it" in state.why


async def test_closing_while_it_is_prepared_does_not_wait(bge_folder: Path, tmp_path: Path) -> None:
    from engine.reranking.bge import open_bge
    from engine.reranking.options import RerankerOptions

    reranker = open_bge(RerankerOptions(tmp_path, bge_model=str(bge_folder), device="cpu"))
    reranker.load()
    while reranker.state().why not in ("loading it through FlagEmbedding",):
        await asyncio.sleep(0.01)
    async with asyncio.timeout(10):
        await reranker.aclose()
    assert not list(tmp_path.glob("bge-*"))


def test_flag_embedding_is_not_imported_unless_needed() -> None:
    program = """
import asyncio, sys, tempfile
from pathlib import Path
import engine, engine.engine
from engine.reranking.bge import open_bge
from engine.reranking.options import RerankerOptions

async def main():
    reranker = open_bge(RerankerOptions(Path(tempfile.mkdtemp())))
    reranker.state()
    await reranker.aclose()

asyncio.run(main())
print([name for name in ("FlagEmbedding", "torch", "transformers", "onnxruntime") if name in sys.modules])
"""
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert told.stdout.strip() == "[]", told.stderr
