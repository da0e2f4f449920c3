"""Products in 8 bits whose inputs' scales are fixed ahead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.inference.bert import Bert, save_bert
from engine.inference.bert_graph import BertShape
from engine.inference.fixed_scales import LEVELS, Examples, FixedScales, fixed_scales, int8

WIDTH, OUT = 96, 64


def drawn(draw: np.random.Generator, rows: int) -> NDArray[np.float32]:
    """As a transformer's: a few channels far larger than the rest, or far from 0."""
    values = draw.standard_normal((rows, WIDTH)).astype(np.float32)
    values[:, 3] *= 60
    values[:, 7] += 25
    return values


def product(scales: FixedScales, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    step = scales.bound / LEVELS
    rounded = np.round((rows[:, scales.channels] * scales.factor + scales.offset) / step)
    return np.asarray(np.clip(rounded, -LEVELS - 1, LEVELS) * step @ int8(scales.weights).T + scales.bias)


@pytest.mark.parametrize("split", [0, 16])
def test_uneven_channels_keep_their_product(split: int) -> None:
    draw = np.random.default_rng(5)
    weights = draw.standard_normal((OUT, WIDTH)).astype(np.float32)
    bias = draw.standard_normal(OUT).astype(np.float32)
    seen = Examples()
    for _ in range(6):
        seen.add(drawn(draw, 100), 50)
    scales = fixed_scales(seen, weights, bias, split=split)
    assert scales.weights.shape == (OUT, WIDTH + split)
    unseen = drawn(draw, 300)
    true = unseen @ weights.T + bias
    steps = np.abs(unseen).max() / LEVELS  # one scale for all, as they are
    plain = np.round(unseen / steps) * steps @ int8(weights).T + bias
    error, plainly = (
        np.linalg.norm(found - true) / np.linalg.norm(true) for found in (product(scales, unseen), plain)
    )
    assert error < 0.02
    assert error < plainly / 2


def test_a_bert_on_fixed_scales_gives_nearly_the_same_states(tmp_path: Path) -> None:
    draw = np.random.default_rng(7)
    shape, width = BertShape(layers=2, heads=4, epsilon=1e-5), 64

    made: dict[str, NDArray[np.float32]] = {}

    def tensor(name: str) -> NDArray[np.float32]:
        if name not in made:
            inner = 4 * width
            size: tuple[int, ...] = (width,)
            if "position" in name or "token_type" in name:
                size = (64, width)
            elif name.endswith("intermediate.dense.weight"):
                size = (inner, width)
            elif name.endswith("intermediate.dense.bias"):
                size = (inner,)
            elif name.endswith("output.dense.weight") and "attention" not in name:
                size = (width, inner)
            elif name.endswith("weight") and "LayerNorm" not in name:
                size = (width, width)
            if "LayerNorm" in name:
                made[name] = np.full(size, name.endswith("weight"), np.float32)
            else:
                made[name] = draw.standard_normal(size).astype(np.float32) / np.float32(size[-1] ** 0.5)
        return made[name].copy()

    words = draw.standard_normal((100, width)).astype(np.float32)
    texts = [draw.integers(0, 100, size).astype(np.int32) for size in (5, 40, 17, 60, 33, 21)]
    states = []
    seen = [words[ids] for ids in texts[:4]]
    for name, examples, fixed_from in (("plain", [], 0), ("fixed", seen, 0), ("half", seen, 1)):
        folder = tmp_path / name
        folder.mkdir()
        save_bert(folder, shape, tensor, first_only=True, examples=examples, fixed_from=fixed_from)
        bert = Bert(folder, lambda ids: words[ids], threads=2, streams=2)
        states.append(np.stack(list(bert.first_states(texts))))
        alone = np.stack([next(iter(bert.first_states([ids]))) for ids in texts])
        assert np.allclose(alone, states[-1], atol=0.2), "each sequence gets its own states"
    plain, fixed, half = (found / np.linalg.norm(found, axis=1, keepdims=True) for found in states)
    assert ((plain * fixed).sum(axis=1) > 0.99).all()
    assert (plain * half).sum() > (plain * fixed).sum(), "fewer layers on fixed scales, less error"
