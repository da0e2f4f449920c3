"""Where a model runs."""

from __future__ import annotations

import sys
from pathlib import Path

_GPU_FILES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")  # NVIDIA, Windows' own Linux, AMD


def best_device(asked: str) -> str:
    """`asked`, or for ``auto`` cuda:0, mps or cpu. One: left to choose, FlagEmbedding takes every GPU.

    Imports torch only where there may be a GPU.
    """
    if asked != "auto":
        return asked
    if sys.platform == "linux" and not any(Path(file).exists() for file in _GPU_FILES):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda:0"
    return "mps" if torch.backends.mps.is_available() else "cpu"
