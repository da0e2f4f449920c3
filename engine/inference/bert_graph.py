"""BERT's graph for OpenVINO, with its products in 8 bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.inference.fixed_scales import (
    LEVELS,
    Examples,
    FixedScales,
    Floats,
    fixed_scales,
    int8_scales,
    not_fixed,
)

Tensors = Callable[[str], Floats]  # a weight by the name that BERT checkpoints give it

_ROWS = 256  # of a product's inputs that scales are tried on
_SPLIT = 64  # inputs added to the products whose inputs are the least even; AMX takes 64 at a time


@dataclass(frozen=True, slots=True)
class BertShape:
    """The sizes of a BERT that its weights do not tell."""

    layers: int
    heads: int
    epsilon: float


def watch(
    shape: BertShape, tensors: Tensors, first_only: bool, embedded: Sequence[Floats], first_layer: int = 0
) -> dict[str, Examples]:
    """What each product's input is in the unrounded model, from a layer on, for sequences (tokens, width)."""
    import openvino  # type: ignore[import-untyped]

    graph = BertGraph(shape, tensors, first_only, watched=True)
    exact = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    request = openvino.Core().compile_model(graph.model(), "CPU", exact).create_infer_request()
    seen: dict[str, Examples] = {}
    for states in embedded:
        request.infer([states[None], np.zeros((1, 1, 1, len(states)), np.float32)])
        for number, name in enumerate(graph.inputs, 1):
            if int(name.split(".")[2]) < first_layer:
                continue
            rows = request.get_output_tensor(number).data[0]
            seen.setdefault(name, Examples()).add(rows, max(1, _ROWS // len(embedded)))
    return seen


class BertGraph:
    """Inputs: embedded words with positions (batch, tokens, width), added mask (batch, 1, 1, tokens).

    Output: the last layer, (batch, tokens, width), or of the first tokens, (batch, 1, width).
    seen: examples of the products' inputs, by name, to fix their scales on.
    watched: unrounded; each product's input is an output too, in the order of `inputs`.
    """

    def __init__(
        self,
        shape: BertShape,
        tensors: Tensors,
        first_only: bool,
        seen: Mapping[str, Examples] | None = None,
        *,
        watched: bool = False,
    ) -> None:
        self._shape = shape
        self._tensors = tensors
        self._first_only = first_only
        self._seen = seen or {}
        self._watched = watched
        self._width = len(tensors("embeddings.LayerNorm.weight"))
        self._outputs: list[Any] = []
        self.inputs: list[str] = []

    def model(self) -> Any:
        import openvino
        from openvino import opset13 as op

        embedded = op.parameter([-1, -1, self._width], np.float32)
        mask = op.parameter([-1, 1, 1, -1], np.float32)
        states = self._norm(embedded, "embeddings.LayerNorm")
        for number in range(self._shape.layers):
            layer = f"encoder.layer.{number}"
            before = states
            if self._first_only and number == self._shape.layers - 1:
                states = op.slice(states, *(op.constant(np.array([n])) for n in (0, 1, 1, 1)))
            attended = self._attention(states, before, mask, f"{layer}.attention")
            states = self._norm(op.add(states, attended), f"{layer}.attention.output.LayerNorm")
            states = self._norm(op.add(states, self._thought(states, layer)), f"{layer}.output.LayerNorm")
        return openvino.Model([states, *self._outputs], [embedded, mask])

    def _attention(self, states: Any, before: Any, mask: Any, name: str) -> Any:
        """What the states get from attending to those before."""
        from openvino import opset13 as op

        width, heads = self._width, self._shape.heads
        weights, bias = (
            np.concatenate([self._tensors(f"{name}.self.{part}.{of}") for part in ("query", "key", "value")])
            for of in ("weight", "bias")
        )
        # attention's own factor belongs to the queries: as a step of its own it is slow in 8 bits
        factor = np.float32((width // heads) ** -0.5)
        weights[:width] *= factor
        bias[:width] *= factor
        scales = self._scales(f"{name}.self", weights, bias)
        self._watch(f"{name}.self", before)
        inputs = self._rounded(before, scales)
        asking = inputs if states is before else self._rounded(states, scales)
        queries, keys, values = (
            _swapped(_shaped(self._product(of, scales, rows), heads, width // heads))
            for of, rows in zip((asking, inputs, inputs), np.arange(3 * width).reshape(3, width), strict=True)
        )
        one = op.constant(np.float32(1))
        seen = _shaped(
            _swapped(op.scaled_dot_product_attention(queries, keys, values, mask, one, causal=False)), width
        )
        dense = f"{name}.output.dense"
        scales = self._scales(dense, *self._layer(dense))
        self._watch(dense, seen)
        return self._product(self._rounded(seen, scales), scales)

    def _thought(self, states: Any, layer: str) -> Any:
        """What the states get from the two products with a function between them."""
        from openvino import opset13 as op

        inner, outer = f"{layer}.intermediate.dense", f"{layer}.output.dense"
        first = self._scales(inner, *self._layer(inner))
        second = self._scales(outer, *self._layer(outer), split=_SPLIT)
        self._watch(inner, states)
        thought = op.gelu(self._product(self._rounded(states, first), first, second.channels), "ERF")
        self._watch(outer, thought)
        return self._product(self._rounded(thought, second), second)

    def _norm(self, states: Any, name: str) -> Any:
        from openvino import opset13 as op

        weights, bias = self._layer(name)
        states = op.mvn(states, op.constant(np.array([-1])), True, self._shape.epsilon, "INSIDE_SQRT")
        return op.add(op.multiply(states, _constant(weights)), _constant(bias))

    def _layer(self, name: str) -> tuple[Floats, Floats]:
        return self._tensors(f"{name}.weight"), self._tensors(f"{name}.bias")

    def _scales(self, name: str, weights: Floats, bias: Floats, *, split: int = 0) -> FixedScales:
        if name not in self._seen:
            return not_fixed(weights, bias)
        return fixed_scales(self._seen[name], weights, bias, split=split)

    def _rounded(self, states: Any, scales: FixedScales) -> Any:
        from openvino import opset13 as op

        if not np.isfinite(scales.bound):
            return states
        states = op.add(op.multiply(states, _constant(scales.factor)), _constant(scales.offset))
        ends = [_constant(np.float32(scales.bound * end)) for end in (-1 - 1 / LEVELS, 1)]
        return op.fake_quantize(states, *ends, *ends, 2 * LEVELS + 2)

    def _watch(self, name: str, states: Any) -> None:
        if self._watched:
            self.inputs.append(name)
            self._outputs.append(states)

    def _product(self, states: Any, scales: FixedScales, rows: Any = slice(None)) -> Any:
        """Some of the outputs."""
        from openvino import opset13 as op

        weights, bias = _constant(scales.weights[rows]), _constant(scales.bias[rows])
        if not self._watched:
            steps = int8_scales(scales.weights[rows])
            rounded = op.constant(np.round(scales.weights[rows] / steps).astype(np.int8))
            weights = op.multiply(op.convert(rounded, "f32"), _constant(steps))
        return op.add(op.matmul(states, weights, False, True), bias)


def _constant(values: Floats | np.float32) -> Any:
    from openvino import opset13 as op

    return op.constant(np.ascontiguousarray(values, np.float32))


def _shaped(states: Any, *sizes: int) -> Any:
    """(batch, tokens, …) to (batch, tokens, *sizes)."""
    from openvino import opset13 as op

    return op.reshape(states, op.constant(np.array([0, 0, *sizes])), special_zero=True)


def _swapped(states: Any) -> Any:
    """Tokens and heads, the one for the other."""
    from openvino import opset13 as op

    return op.transpose(states, op.constant(np.array([0, 2, 1, 3])))
