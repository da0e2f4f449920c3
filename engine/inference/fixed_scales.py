"""Inputs of a product rounded to int8 on scales that are fixed ahead, from examples of them.

Processors that multiply 8-bit numbers in tiles (AMX) do so only where no scale must be found on the
way. What makes the scales hold for a transformer's inputs, a few of whose channels are far larger
than the rest: each channel is shifted to its middle (Wei et al. 2023, Outlier Suppression+) and
divided by a scale that its weights take over (Xiao et al. 2023, SmoothQuant); the largest channels
are split into several that each carry a part (Zhao et al. 2019, outlier channel splitting); the
error's mean over the examples is taken from the bias (Nagel et al. 2019).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

LEVELS = 127  # of int8, either way from 0
_SHIFTED_TO_WEIGHTS = (0.5, 0.7, 0.9)  # SmoothQuant's alpha
_ROOM = (1.0, 1.5, 2.0)  # times the extremes that were seen
_TINY = 1e-5


@dataclass(slots=True)
class Examples:
    """What was seen at one product's input, text by text.

    Extremes of each channel, (channels,), and some rows, (rows, channels).
    """

    low: list[Floats] = field(default_factory=list)
    high: list[Floats] = field(default_factory=list)
    rows: list[Floats] = field(default_factory=list)

    def add(self, rows: Floats, keep: int) -> None:
        """Take in one text's rows (n, channels), and remember `keep` of them, evenly spread."""
        self.low.append(rows.min(axis=0))
        self.high.append(rows.max(axis=0))
        self.rows.append(rows[np.linspace(0, len(rows) - 1, min(keep, len(rows))).astype(int)])


@dataclass(frozen=True, slots=True)
class FixedScales:
    """A product on rounded inputs: clip(x[channels] * factor + offset) to ±bound, in steps of bound / 127.

    channels: which of x each input is; some come several times. bound: inf if not rounded.
    weights (out, inputs), not yet rounded, and bias (out,) are those to multiply with.
    """

    channels: NDArray[np.intp]
    factor: Floats
    offset: Floats
    bound: float
    weights: Floats
    bias: Floats


def not_fixed(weights: Floats, bias: Floats) -> FixedScales:
    """For inputs that are left as they are."""
    width = weights.shape[1]
    return FixedScales(
        np.arange(width), np.ones(width, np.float32), np.zeros(width, np.float32), np.inf, weights, bias
    )


def fixed_scales(seen: Examples, weights: Floats, bias: Floats, *, split: int = 0) -> FixedScales:
    """For x @ weights.T + bias. weights: (out, channels). split: how many inputs to add by splitting.

    How much the weights take over and how much room is left beyond what was seen: what does best on
    every other text with scales from those between. The scales taken are from all of them.
    """
    parts = slice(0, None, 2), slice(1, None, 2)
    texts = Examples(seen.low[parts[0]], seen.high[parts[0]]), np.concatenate(seen.rows[parts[1]])

    def error(choice: tuple[float, float]) -> float:
        scales = _scales(texts[0], weights, bias, split, *choice)
        return float(((_product(scales, texts[1]) - texts[1] @ weights.T - bias) ** 2).sum())

    best = min(itertools.product(_SHIFTED_TO_WEIGHTS, _ROOM), key=error)
    scales, rows = _scales(seen, weights, bias, split, *best), np.concatenate(seen.rows)
    mean = (_product(scales, rows) - rows @ weights.T - bias).mean(axis=0)
    return replace(scales, bias=scales.bias - mean)


def _scales(
    seen: Examples, weights: Floats, bias: Floats, split: int, alpha: float, room: float
) -> FixedScales:
    low, high = np.min(seen.low, axis=0), np.max(seen.high, axis=0)
    middle = (low + high) / 2
    reach = np.maximum((high - low) / 2 * room, _TINY)
    scale = reach**alpha / np.maximum(np.abs(weights).max(axis=0), _TINY) ** (1 - alpha)
    channels, parts = _split(reach / scale, split)
    inputs = (scale * parts)[channels]
    return FixedScales(
        channels,
        1 / inputs,
        -middle[channels] / inputs,
        float((reach[channels] / inputs).max()),
        (weights * scale)[:, channels],
        bias + weights @ middle,
    )


def _product(scales: FixedScales, rows: Floats) -> Floats:
    """What comes of rows (n, channels): (n, out)."""
    step = scales.bound / LEVELS
    inputs = np.round((rows[:, scales.channels] * scales.factor + scales.offset) / step)
    product: Floats = np.clip(inputs, -LEVELS - 1, LEVELS) @ (int8(scales.weights).T * step) + scales.bias
    return product


def int8(weights: Floats) -> Floats:
    """As they are after rounding with a scale for each output: (out, inputs)."""
    scales = int8_scales(weights)
    rounded: Floats = np.round(weights / scales) * scales
    return rounded


def int8_scales(weights: Floats) -> Floats:
    """One scale for each output, (out, 1): weights divided by it lie within ±127."""
    scales: Floats = np.maximum(np.abs(weights).max(axis=1, keepdims=True), 1e-12) / LEVELS
    return scales


def _split(reach: Floats, count: int) -> tuple[NDArray[np.intp], Floats]:
    """Each input's channel after `count` splits, each of the one with the largest part; and their parts."""
    parts = np.ones_like(reach)
    for _ in range(count):
        parts[np.argmax(reach / parts)] += 1
    return np.repeat(np.arange(len(reach)), parts.astype(int)), parts
