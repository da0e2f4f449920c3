"""BERT (Devlin et al. 2019) on OpenVINO: built from plain weights, 8 bits, run in small batches.

Weights are rounded to int8 with one scale an output channel. Activations: on fixed scales where
examples of the input are given (see `engine.inference.fixed_scales`); else OpenVINO rounds them per
token as it runs, or where the processor multiplies bfloat16 in tiles, not at all. The vocabulary's
embeddings stay outside the graph and are gathered by the caller: 250,000 rows, of which a process
needs few, should not be in its memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.inference.bert_graph import BertGraph, BertShape, Tensors, watch
from engine.inference.fixed_scales import Floats

LENGTH_STEP = 16  # batches are padded to multiples of it: OpenVINO keeps memory for each shape that it sees
GROUP_TOKENS = 256  # of short sequences that run together
_GRAPH, _POSITIONS = "model.xml", "positions.npy"


def save_bert(
    folder: Path,
    shape: BertShape,
    tensors: Tensors,
    *,
    first_only: bool = False,
    examples: Sequence[Floats] = (),
    fixed_from: int = 0,
) -> None:
    """Write a BERT to `folder` for `Bert`; word embeddings are not asked for.

    first_only: for `first_states` alone; the last layer then spares most of its work.
    examples: embedded words, (tokens, width) each, to fix the activations' scales on.
    fixed_from: the first layer that has fixed scales.
    """
    import openvino  # type: ignore[import-untyped]

    positions = tensors("embeddings.position_embeddings.weight")
    positions = positions + tensors("embeddings.token_type_embeddings.weight")[0]
    embedded = [words + positions[: len(words)] for words in examples]
    seen = watch(shape, tensors, first_only, embedded, fixed_from) if embedded else {}
    graph = BertGraph(shape, tensors, first_only, seen)
    openvino.save_model(graph.model(), folder / _GRAPH, compress_to_fp16=False)
    np.save(folder / _POSITIONS, positions)


class Bert:
    """A BERT encoder. `words` gathers word embeddings: ids (n,) to float32 (n, width).

    streams: how many batches run at once, each on its share of the threads.
    """

    def __init__(
        self, folder: Path, words: Callable[[NDArray[np.int32]], Floats], *, threads: int, streams: int = 1
    ) -> None:
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
                "NUM_STREAMS": streams,
                "INFERENCE_NUM_THREADS": threads,
                "ENABLE_CPU_PINNING": False,  # the database and the server want these cores too
                "DYNAMIC_QUANTIZATION_GROUP_SIZE": self.width,
                # what is not int8 runs in bfloat16 where the processor has it
                "INFERENCE_PRECISION_HINT": "bf16" if "BF16" in native else "f32",
            },
        )
        # One more than run at once: a stream that is done finds the next batch there.
        self._queue = openvino.AsyncInferQueue(compiled, streams + (streams > 1))

    def hidden_states(self, batch: Sequence[NDArray[np.int32]]) -> list[Floats]:
        """The last layer of each sequence of ids: float32, (tokens, width)."""
        (states,) = self._infer([batch])
        return [states[row, : len(ids)].copy() for row, ids in enumerate(batch)]

    def first_states(self, sequences: Iterable[NDArray[np.int32]]) -> Iterator[Floats]:
        """The last layer of each sequence's first token, as they come: float32, (width,).

        Sequences are taken when there is room for them. Longest first, the streams end at about the
        same time.
        """
        for states in self._infer(_groups(sequences)):
            yield from states[:, 0]

    def _infer(self, batches: Iterable[Sequence[NDArray[np.int32]]]) -> Iterator[Floats]:
        """The graph's output for each batch, in order; as many run at once as there are streams."""
        done: dict[int, Floats] = {}

        def keep(request: Any, place: int) -> None:
            done[place] = np.array(request.get_output_tensor().data)

        self._queue.set_callback(keep)
        started = given = 0
        try:
            for batch in batches:
                self._queue.start_async(self._inputs(batch), started)  # waits until there is room
                started += 1
                while given in done:
                    yield done.pop(given)
                    given += 1
        finally:
            self._queue.wait_all()  # none may end during the next call
        for place in range(given, started):
            yield done.pop(place)

    def _inputs(self, batch: Sequence[NDArray[np.int32]]) -> list[Floats]:
        length = _padded(max(map(len, batch)))
        embedded = np.zeros((len(batch), length, self.width), np.float32)
        mask = np.full((len(batch), 1, 1, length), -1e9, np.float32)
        for row, ids in enumerate(batch):
            embedded[row, : len(ids)] = self._words(ids) + self._positions[: len(ids)]
            mask[row, :, :, : len(ids)] = 0
        return [embedded, mask]


def _padded(length: int) -> int:
    return -(-length // LENGTH_STEP) * LENGTH_STEP


def _groups(sequences: Iterable[NDArray[np.int32]]) -> Iterator[list[NDArray[np.int32]]]:
    """Neighbours that run together: only short ones, so that little is padded."""
    group: list[NDArray[np.int32]] = []
    for ids in sequences:
        if group and (len(group) + 1) * _padded(max(map(len, (*group, ids)))) > GROUP_TOKENS:
            yield group
            group = []
        group.append(ids)
    if group:
        yield group
