"""What a factory of rerankers is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

RerankAPI = Literal["auto", "tei", "jina"]


@dataclass(frozen=True, slots=True)
class RerankerOptions:
    """Settings of every reranker; each factory takes what it needs. Times in seconds.

    models_folder: where converted weights are kept between runs.
    threads: of a local model; 0 is one per core.
    bge_model: hub name or folder. device: auto, cpu, cuda or mps.
    timeout_seconds: longest wait for a model here or behind `remote_url`.
    openai_base_url: an OpenAI-compatible endpoint, None is OpenAI's own.
    openai_parallel: several requests at once, `openai_max_workers` at most, or one after another.
    openai_timeout_seconds: of a question, retries and the waits that Retry-After asks for included.
    openai_listwise: one request ranks all passages, instead of one request a passage.
    remote_url: of a server with a `/rerank`; may hold a password. remote_api: which form it speaks.
    cascade_strong: name of the reranker that orders the best few. cascade_depth: how many.
    """

    models_folder: Path
    threads: int = 0
    bge_model: str = "BAAI/bge-reranker-v2-m3"
    device: str = "auto"
    timeout_seconds: float = 5.0
    openai_api_key: str = ""
    openai_base_url: str | None = None
    openai_model: str = "gpt-4o-mini"
    openai_parallel: bool = True
    openai_max_workers: int = 10
    openai_listwise: bool = False
    openai_timeout_seconds: float = 10.0
    openai_max_retries: int = 2
    remote_url: str = ""
    remote_api_key: str = ""
    remote_model: str = ""
    remote_api: RerankAPI = "auto"
    cascade_strong: str = "bge"
    cascade_depth: int = 10
