"""BAAI/bge-reranker-v2-m3 (Chen et al. 2024): FlagEmbedding on a GPU, its 8-bit form on a processor."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from engine.errors import ModelUnavailable
from engine.inference.conversion import reading
from engine.inference.cores import cores
from engine.inference.device import best_device
from engine.inference.shared import Loading
from engine.inference.worker import WINDOW
from engine.reranking.agreement import AGREEMENT, agreement
from engine.reranking.cross_encoder import CrossEncoder
from engine.reranking.flag_reranker import FlagModel
from engine.reranking.local import LocalModel, LocalReranker
from engine.reranking.options import RerankerOptions
from engine.reranking.preparing import REFERENCE, check

NAME = "bge"
SCALE = 2.0  # logits, as those of other cross-encoders
DEPTH_CPU, DEPTH_SLOW, DEPTH_GPU = 10, 4, 50
_BATCH_CHARACTERS = 8_192  # of FlagEmbedding; the 8-bit form reads ahead
# A GPU is idle for most of a small batch: 32 callers have 1.5 to 1.7 times as many answers with these as
# with a quarter of them (H100), and it holds a tenth more memory.
_BATCH_CHARACTERS_GPU, _WINDOW_GPU = 131_072, 128
_FORMAT = 4  # raise it when what `preparing` writes changes
_HINT = "Set BGE_MODEL_NAME to a folder that holds it, or let this machine reach the hub."

log = logging.getLogger(__name__)


def open_bge(options: RerankerOptions) -> LocalReranker:
    """bge, from the hub or a folder; nothing is loaded yet."""
    device = best_device(options.device)
    on_gpu = device != "cpu"
    model = LocalModel(
        NAME,
        (NAME, options.bge_model, device, options.threads, options.models_folder),
        lambda loading: _load(options, device, loading),
        batch_size=_BATCH_CHARACTERS_GPU if on_gpu else _BATCH_CHARACTERS,
        scale=SCALE,
        depth=DEPTH_GPU if on_gpu else DEPTH_CPU,
        window=_WINDOW_GPU if on_gpu else WINDOW,
    )
    return LocalReranker(model, timeout_seconds=options.timeout_seconds)


def _load(options: RerankerOptions, device: str, loading: Loading) -> Any:
    if find_spec("FlagEmbedding") is None:
        raise ModelUnavailable("bge needs FlagEmbedding.", hint="Install it: pip install FlagEmbedding")
    try:
        if device == "cpu":
            return _fast(options, loading)
        loading.report("looking for it")
        source = Path(loading.run(_command("find", options.bge_model)))
        loading.report(f"loading it onto {device}")
        return FlagModel(source, device, depth=DEPTH_GPU)
    except ModelUnavailable as error:
        error.hint = error.hint or _HINT
        raise


def _fast(options: RerankerOptions, loading: Loading) -> Any:
    """The 8-bit form, prepared if it is not there yet; where it orders differently, the model itself."""
    target = options.models_folder.resolve() / prepared_name(options.bge_model)
    if not target.is_dir():
        loading.report("looking for it")
        loading.run(_command("convert", options.bge_model, str(target)))
    with reading(target):
        told = json.loads((target / REFERENCE).read_text())
    why = str(told["why"])
    if not why:
        loading.report("loading its 8-bit form")
        model = CrossEncoder(target, threads=cores(options.threads), depth=DEPTH_CPU)
        loading.report("checking its order")
        tau = agreement(told["scores"], check(model))
        if tau >= AGREEMENT:
            return model
        del model
        why = f"On this machine its 8-bit form orders differently (Kendall tau {tau:.3f})."
    log.warning("bge: %s FlagEmbedding serves, which is slower.", why)
    loading.report("loading it through FlagEmbedding")
    note = f"{why} FlagEmbedding serves, which is slower."
    return FlagModel(Path(told["source"]), "cpu", depth=DEPTH_SLOW, note=note)


def prepared_name(model: str) -> str:
    """Folder of the fast form: of what it is made from, and how.

    A folder is known by its path and its files' sizes and times, so that new weights are
    prepared anew; a hub's model by its name.
    """
    folder = Path(model).expanduser()
    parts = [model]
    if folder.is_dir():
        parts = [str(folder.resolve())]
        for file in sorted(folder.iterdir()):
            seen = file.stat()
            parts.append(f"{file.name} {seen.st_size} {seen.st_mtime_ns}")
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", model.rstrip("/").rsplit("/", 1)[-1])[:60] or "model"
    return f"{name}-{digest}-{_FORMAT}"


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "engine.reranking.preparing", *arguments]
