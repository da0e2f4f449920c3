"""FlagEmbedding's own reranker (Chen et al. 2024), as it is loaded from the hub or a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import ModelUnavailable

HUB_SECONDS = 5.0  # longest wait for the hub's first answer
_FILES = ["*.json", "*.safetensors", "*.bin", "*.model"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and a passage; its length is in characters."""

    question: str
    passage: str

    def __len__(self) -> int:
        return len(self.question) + len(self.passage)


class FlagModel:
    """A PairModel that is FlagEmbedding's FlagReranker: half precision on a GPU. Not safe to call at once.

    memory_bytes: of its weights on a GPU; None where they lie in the process's own memory.
    """

    def __init__(self, folder: Path, device: str, *, depth: int, note: str = "") -> None:
        self.depth = depth
        self.note = note
        self.memory_bytes: int | None = None
        before = _allocated(device)
        self.reranker = load_flag_reranker(folder, device)
        if device != "cpu":
            flag_scores(self.reranker, [("", "")])  # only a first score moves the weights onto it
            self.memory_bytes = _allocated(device) - before

    def prepare(self, asked: tuple[str, str]) -> Pair:
        return Pair(*asked)

    def run(self, batch: Sequence[Pair]) -> list[float]:
        """Logits."""
        return flag_scores(self.reranker, [(pair.question, pair.passage) for pair in batch])


def _allocated(device: str) -> int:
    """Bytes of a GPU that tensors of this process take."""
    if device == "cpu":
        return 0
    import torch

    if device.startswith("mps"):
        return torch.mps.current_allocated_memory()
    return torch.cuda.memory_allocated(device)


def load_flag_reranker(folder: Path, device: str) -> Any:
    """A FlagReranker. Raises ModelUnavailable for a folder that holds none."""
    from FlagEmbedding import FlagReranker  # takes seconds and memory: only where it is needed

    try:
        return FlagReranker(str(folder), devices=device, use_fp16=device != "cpu")
    except Exception as error:  # a damaged folder makes every layer below fail in its own way
        raise ModelUnavailable(f"The model in {folder} cannot be loaded: {first_line(error)}") from error


def flag_scores(reranker: Any, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """Logits of the pairs, in one batch: a larger batch size keeps it from drawing progress bars."""
    scores: list[float] = reranker.compute_score(list(pairs), batch_size=len(pairs) + 1)
    return scores


def find_model(model: str) -> Path:
    """The folder of a hub name or a path; what is not there yet is downloaded. Blocks.

    Raises ModelUnavailable where there is none, and soon where the hub does not answer.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelUnavailable(f"The folder {folder} holds no model: config.json is missing.")
        return folder
    if folder.is_absolute() or model.startswith((".", "~")) or model.count("/") != 1:
        raise ModelUnavailable(f"The folder {folder} does not exist.")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=_FILES, etag_timeout=HUB_SECONDS))
    except Exception as error:  # the client's errors and those of the transport below it
        raise ModelUnavailable(
            f"The model {model} is not on this machine, and the hub does not give it: {first_line(error)}"
        ) from error


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    said = str(error).strip().splitlines()
    return said[0].rstrip(".") + "." if said else f"{type(error).__name__}."
