"""BERT (Devlin et al. 2019) on OpenVINO: built from plain weights, 8 bits, run in small batches.

Weights are rounded to int8 with one scale an output channel; OpenVINO quantises activations
to int8 per token as it runs. The vocabulary's embeddings stay outside the graph and are gathered
by the caller: 250,000 rows, of which a process needs few, should not be in its memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Tensors = Callable[[str], Floats]  # a weight by the name that BERT checkpoints give it

LENGTH_STEP = 16  # batches are padded to multiples of it: OpenVINO keeps memory for each shape that it sees
_GRAPH, _POSITIONS = "model.xml", "positions.npy"


@dataclass(frozen=True, slots=True)
class BertShape:
    """The sizes of a BERT that its weights do not tell."""

    layers: int
    heads: int
    epsilon: float


def save_bert(folder: Path, shape: BertShape, tensors: Tensors, *, first_only: bool = False) -> None:
    """Write a BERT to `folder` for `Bert`; word embeddings are not asked for.

    first_only: for `first_states` alone; the last layer then spares most of its work.
    """
    import openvino  # type: ignore[import-untyped]

    openvino.save_model(_graph(shape, tensors, first_only), folder / _GRAPH, compress_to_fp16=False)
    positions = tensors("embeddings.position_embeddings.weight")
    np.save(folder / _POSITIONS, positions + tensors("embeddings.token_type_embeddings.weight")[0])


class Bert:
    """A BERT encoder. `words` gathers word embeddings: ids (n,) to float32 (n, width)."""

    def __init__(self, folder: Path, words: Callable[[NDArray[np.int32]], Floats], *, threads: int) -> None:
        import openvino

        core = openvino.Core()
        self._words = words
        self._positions: Floats = np.load(folder / _POSITIONS)
        self.width = self._positions.shape[1]
        native = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        compiled = core.compile_model(
            core.read_model(folder / _GRAPH),
            "CPU",
            {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": threads,
                "ENABLE_CPU_PINNING": False,  # the database and the server want these cores too
                "DYNAMIC_QUANTIZATION_GROUP_SIZE": self.width,
                # what is not int8 runs in bfloat16 where the processor has it
                "INFERENCE_PRECISION_HINT": "bf16" if "BF16" in native else "f32",
            },
        )
        self._request = compiled.create_infer_request()

    def hidden_states(self, batch: Sequence[NDArray[np.int32]]) -> list[Floats]:
        """The last layer of each sequence of ids: float32, (tokens, width)."""
        states = self._infer(batch)
        return [states[row, : len(ids)].copy() for row, ids in enumerate(batch)]

    def first_states(self, batch: Sequence[NDArray[np.int32]]) -> Floats:
        """The last layer of each sequence's first token: float32, (sequences, width)."""
        return np.array(self._infer(batch)[:, 0])

    def _infer(self, batch: Sequence[NDArray[np.int32]]) -> Floats:
        longest = max(map(len, batch))
        length = -(-longest // LENGTH_STEP) * LENGTH_STEP
        embedded = np.zeros((len(batch), length, self.width), np.float32)
        mask = np.full((len(batch), 1, 1, length), -1e9, np.float32)
        for row, ids in enumerate(batch):
            embedded[row, : len(ids)] = self._words(ids) + self._positions[: len(ids)]
            mask[row, :, :, : len(ids)] = 0
        states: Floats = self._request.infer([embedded, mask], share_inputs=True, share_outputs=True)[0]
        return states


def _graph(shape: BertShape, tensors: Tensors, first_only: bool) -> Any:
    """Inputs: embedded words with positions (batch, tokens, width), added mask (batch, 1, 1, tokens).

    Output: the last layer, (batch, tokens, width), or of the first tokens, (batch, 1, width).
    """
    import openvino
    from openvino import opset13 as op

    def constant(values: Floats) -> Any:
        return op.constant(np.ascontiguousarray(values, np.float32))

    def shaped(states: Any, *sizes: int) -> Any:
        return op.reshape(states, op.constant(np.array(sizes)), special_zero=True)

    def swapped(states: Any) -> Any:
        return op.transpose(states, op.constant(np.array([0, 2, 1, 3])))

    def norm(states: Any, name: str) -> Any:
        states = op.mvn(states, op.constant(np.array([-1])), True, shape.epsilon, "INSIDE_SQRT")
        return op.add(
            op.multiply(states, constant(tensors(f"{name}.weight"))), constant(tensors(f"{name}.bias"))
        )

    def linear(states: Any, name: str) -> Any:
        weights = tensors(f"{name}.weight")
        scales = np.maximum(np.abs(weights).max(axis=1, keepdims=True), 1e-12) / 127
        rounded = op.convert(op.constant(np.round(weights / scales).astype(np.int8)), "f32")
        product = op.matmul(states, op.multiply(rounded, constant(scales)), False, True)
        return op.add(product, constant(tensors(f"{name}.bias")))

    width = len(tensors("embeddings.LayerNorm.weight"))
    embedded = op.parameter([-1, -1, width], np.float32)
    mask = op.parameter([-1, 1, 1, -1], np.float32)
    states = norm(embedded, "embeddings.LayerNorm")
    for number in range(shape.layers):
        layer = f"encoder.layer.{number}"
        before, attention = states, f"{layer}.attention.self"
        if first_only and number == shape.layers - 1:
            states = op.slice(states, *(op.constant(np.array([n])) for n in (0, 1, 1, 1)))
        queries, keys, values = (
            swapped(shaped(linear(of, f"{attention}.{part}"), 0, 0, shape.heads, width // shape.heads))
            for of, part in ((states, "query"), (before, "key"), (before, "value"))
        )
        seen = op.scaled_dot_product_attention(queries, keys, values, mask, causal=False)
        seen = linear(shaped(swapped(seen), 0, 0, width), f"{layer}.attention.output.dense")
        states = norm(op.add(states, seen), f"{layer}.attention.output.LayerNorm")
        thought = op.gelu(linear(states, f"{layer}.intermediate.dense"), "ERF")
        states = norm(op.add(states, linear(thought, f"{layer}.output.dense")), f"{layer}.output.LayerNorm")
    return openvino.Model([states], [embedded, mask])
