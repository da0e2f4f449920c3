"""What a factory of embedders is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class EmbedderOptions:
    """Settings of every embedder; each factory takes what it needs.

    models_folder: where converted weights are kept between runs.
    threads: of a local model; 0 is one per core.
    openai_base_url: an OpenAI-compatible endpoint, None is OpenAI's own.
    bge_model: hub name or folder. device: auto, cpu, cuda or mps.
    """

    models_folder: Path
    threads: int = 0
    openai_api_key: str = ""
    openai_base_url: str | None = None
    openai_model: str = "text-embedding-3-small"
    openai_timeout_seconds: float = 30.0
    bge_model: str = "BAAI/bge-m3"
    device: str = "auto"
