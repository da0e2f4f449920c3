"""Run as a process of its own: finds a reranker's model and writes its fast form.

    python -m engine.reranking.preparing find MODEL
    python -m engine.reranking.preparing convert MODEL FOLDER

Prints what it does, a line each, and at last the model's folder; on failure, why on stderr and
status 1. What it takes of memory, several times the model, is gone when it ends.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import DossierError, ModelUnavailable
from engine.inference.conversion import converted, only_one
from engine.inference.cores import cores
from engine.reranking.agreement import AGREEMENT, PAIRS, agreement
from engine.reranking.calibration import CALIBRATION
from engine.reranking.cross_encoder import CrossEncoder, save_cross_encoder
from engine.reranking.flag_reranker import find_model, first_line, flag_scores, load_flag_reranker

REFERENCE = "reference.json"
_BATCH = 8  # pairs; more are no faster and take more memory
_LOOK_SECONDS = 2.0
# Shares of the layers, the first ones, whose activations have no fixed scales: the less, the faster. An
# error of a first layer goes through all the others: two of twelve make over half of what fixed scales add.
_UNFIXED = (0.0, 1 / 6, 1.0)


def main(arguments: list[str]) -> int:
    task, model, *rest = arguments
    try:
        folder = _find(model)
        if task == "convert":
            target = Path(rest[0])
            with only_one(target):
                _say("preparing it for this processor")
                converted(target.parent, target.name, lambda beside: _convert(folder, beside))
        print(folder, flush=True)
    except DossierError as error:
        print(error, file=sys.stderr)
        return 1
    except Exception as error:
        print(f"{type(error).__name__}: {first_line(error)}", file=sys.stderr)
        return 1
    return 0


def _say(progress: str) -> None:
    print(progress, flush=True)


def _find(model: str) -> Path:
    done = threading.Event()
    watching = threading.Thread(target=_watch_download, args=(model, done), daemon=True)
    watching.start()
    try:
        return find_model(model)
    finally:
        done.set()


def _watch_download(model: str, done: threading.Event) -> None:
    """Say how much of it has come, from the sizes of the files that grow."""
    from huggingface_hub.constants import HF_HUB_CACHE

    blobs = Path(HF_HUB_CACHE) / f"models--{model.replace('/', '--')}" / "blobs"
    while not done.wait(_LOOK_SECONDS):
        came = sum(file.stat().st_size for file in blobs.glob("*") if file.is_file())
        _say(f"downloading {model}: {came / 1e6:,.0f} MB so far")


def _convert(source: Path, folder: Path) -> None:
    """The fast form with the model's own scores of PAIRS; where they disagree, the scores alone."""
    _say("loading it through FlagEmbedding")
    reranker = load_flag_reranker(source, "cpu")
    reference: list[float] = []
    for start in range(0, len(PAIRS), _BATCH):
        _say(f"scoring the check set: {start} of {len(PAIRS)}")
        reference += flag_scores(reranker, PAIRS[start : start + _BATCH])
    if not np.isfinite(reference).all():
        raise ModelUnavailable(f"The model in {source} gives no numbers.", hint="Download it anew.")
    told: dict[str, Any] = {"source": str(source), "scores": reference, "agreement": None, "why": ""}
    try:
        for unfixed in _UNFIXED:
            _say("writing its 8-bit form")
            write_fast_form(reranker, folder, unfixed)
            _say("comparing the two forms")
            told["agreement"] = tau = agreement(
                reference, check(CrossEncoder(folder, threads=cores(0), depth=0))
            )
            told["unfixed"] = unfixed
            if tau >= AGREEMENT:
                break
        else:
            told["why"] = f"Its 8-bit form orders differently (Kendall tau {tau:.3f})."
    except ModelUnavailable as error:
        told["why"] = error.message
    if told["why"]:
        for file in folder.iterdir():
            file.unlink()
    (folder / REFERENCE).write_text(json.dumps(told))


def write_fast_form(reranker: Any, folder: Path, unfixed: float) -> None:
    """What CrossEncoder reads. reranker: FlagEmbedding's. unfixed: see `save_cross_encoder`."""
    weights = reranker.model.state_dict()
    tokenizer_json = folder / "tokenizer.json"
    reranker.tokenizer.backend_tokenizer.save(str(tokenizer_json))
    save_cross_encoder(
        folder,
        reranker.model.config.to_dict(),
        lambda name: np.asarray(weights[name].float().numpy()),
        tokenizer_json,
        CALIBRATION if unfixed < 1 else (),
        unfixed,
    )
    tokenizer_json.unlink()


def check(model: CrossEncoder) -> list[float]:
    """A model's scores of PAIRS."""
    prepared = [model.prepare(pair) for pair in PAIRS]
    return [
        score
        for start in range(0, len(PAIRS), _BATCH)
        for score in model.run(prepared[start : start + _BATCH])
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
