"""A cross-encoder of XLM-RoBERTa's architecture on OpenVINO, in 8 bits: BERT reads both texts at once.

Nogueira & Cho 2019, Passage Re-ranking with BERT. Weights: see `engine.inference.bert`; the
vocabulary's embeddings are mapped from the disk, so that memory holds only what is read of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from engine.errors import ModelUnavailable
from engine.inference.bert import Bert, save_bert
from engine.inference.bert_graph import BertShape
from engine.inference.conversion import reading
from engine.inference.fixed_scales import Floats
from engine.inference.mapped import MappedRows
from engine.retrieval.embedders.unigram import BOS, EOS, PAD, UnigramTokeniser, save_unigram

LIMIT = 512  # tokens of a question and a passage, as FlagEmbedding cuts them
QUESTION_LIMIT = LIMIT * 3 // 4
CHARACTERS_PER_TOKEN = 16  # more than any text has on average: the rest cannot matter
_HEAD = ("dense.weight", "dense.bias", "out_proj.weight", "out_proj.bias")
_WORDS, _HEADS = "words.npy", "head.npz"


def save_cross_encoder(
    folder: Path,
    config: dict[str, Any],
    tensors: Callable[[str], Floats],
    tokenizer_json: Path,
    examples: Sequence[tuple[str, str]] = (),
    unfixed: float = 0.0,
) -> None:
    """Write a checkpoint of XLMRobertaForSequenceClassification to `folder` for CrossEncoder.

    config: its config.json. tensors: a weight by its name in the checkpoint. examples: pairs to fix
    the scales of activations on; without them, and in a share `unfixed` of the layers, the first ones,
    the processor's own way of rounding is taken.
    Raises ModelUnavailable for another architecture.
    """
    if config.get("model_type") != "xlm-roberta" or config.get("num_labels", 1) != 1:
        raise ModelUnavailable(f"There is no fast form of the architecture {config.get('model_type')}.")
    _save_vocabulary(folder, tokenizer_json)

    def of_bert(name: str) -> Floats:
        values = tensors(f"roberta.{name}")
        return values[PAD + 1 :] if name == "embeddings.position_embeddings.weight" else values

    shape = BertShape(
        config["num_hidden_layers"], config["num_attention_heads"], config.get("layer_norm_eps", 1e-5)
    )
    words = of_bert("embeddings.word_embeddings.weight")
    pairs = PairTokeniser(folder)
    embedded = [words[pairs.ids(pair)] for pair in examples]
    fixed_from = round(unfixed * shape.layers)
    save_bert(folder, shape, of_bert, first_only=True, examples=embedded, fixed_from=fixed_from)
    np.save(folder / _WORDS, words.astype(np.float16))
    head: dict[str, Any] = {name: tensors(f"classifier.{name}") for name in _HEAD}
    np.savez(folder / _HEADS, **head)


def _save_vocabulary(folder: Path, tokenizer_json: Path) -> None:
    from tokenizers import Tokenizer

    model = json.loads(tokenizer_json.read_text(encoding="utf-8"))["model"]
    if model["type"] != "Unigram":
        raise ModelUnavailable(f"There is no fast form of the tokeniser {model['type']}.")
    normalizer = Tokenizer.from_file(str(tokenizer_json)).normalizer
    replacements = {}
    for code in range(0x110000):
        if 0xD800 <= code < 0xE000:
            continue
        character = chr(code)
        seen = normalizer.normalize_str(character) if normalizer else character
        seen = " " if seen.isspace() else seen
        if seen != character:
            replacements[character] = seen
    pieces, scores = zip(*model["vocab"], strict=True)
    save_unigram(folder, pieces, scores, replacements)


class PairTokeniser:
    """Token ids of a question and a passage, from what `save_cross_encoder` wrote."""

    def __init__(self, folder: Path) -> None:
        self._questions: LRUCache[str, list[int]] = LRUCache(64)
        self._tokeniser = UnigramTokeniser(folder, query_prefix="", passage_prefix="", limit=LIMIT)

    def ids(self, asked: tuple[str, str]) -> NDArray[np.int32]:
        """As FlagEmbedding joins them: what is too long is cut from the passage."""
        question, passage = asked
        if (ids := self._questions.get(question)) is None:
            ids = self._questions[question] = self._limited(question, QUESTION_LIMIT)
        room = LIMIT - len(ids) - 4
        return np.array([BOS, *ids, EOS, EOS, *self._limited(passage, room), EOS], np.int32)

    def _limited(self, text: str, limit: int) -> list[int]:
        readable = text[: limit * CHARACTERS_PER_TOKEN].encode("utf-8", "replace").decode("utf-8")
        return self._tokeniser.ids(readable)[:limit]


class CrossEncoder:
    """A PairModel, read from what `save_cross_encoder` wrote. Raises ModelUnavailable if it is damaged.

    Each thread reads a passage of its own.
    """

    reads_ahead = True

    def __init__(self, folder: Path, *, threads: int, depth: int) -> None:
        self.depth = depth
        self.note = ""
        with reading(folder):
            self._pairs = PairTokeniser(folder)
            words = MappedRows(np.load(folder / _WORDS, mmap_mode="r"))
            self._bert = Bert(
                folder, lambda ids: words[ids].astype(np.float32), threads=threads, streams=threads
            )
            with np.load(folder / _HEADS) as head:
                self._dense, self._dense_bias, self._out, self._out_bias = (head[name] for name in _HEAD)

    def prepare(self, asked: tuple[str, str]) -> NDArray[np.int32]:
        """The pair's token ids."""
        return self._pairs.ids(asked)

    def run(self, pairs: Iterable[NDArray[np.int32]]) -> Iterator[float]:
        """Logits, as they come."""
        for states in self._bert.first_states(pairs):
            yield self._logit(states)

    def _logit(self, states: Floats) -> float:
        thought = np.tanh(self._dense @ states + self._dense_bias)
        return float((self._out @ thought + self._out_bias)[0])
