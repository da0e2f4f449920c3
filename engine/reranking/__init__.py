"""Rerankers by name: a new one is a file here and a line in RERANKERS."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from engine.reranking.base import Reranker
from engine.reranking.built_in import LateInteractionReranker
from engine.reranking.openai import OpenAIReranker
from engine.reranking.options import RerankerOptions
from engine.reranking.remote import RemoteReranker
from engine.reranking.tokens import PassageTokens
from engine.retrieval.embedders.base import Embedding


@dataclass(frozen=True, slots=True)
class RerankerParts:
    """What a reranker may be built from.

    embed_question: cached. tokens: None where the embedder gives no token vectors.
    options: what the settings say.
    """

    embed_question: Callable[[str], Awaitable[Embedding]]
    tokens: PassageTokens | None
    options: RerankerOptions


def _built_in(parts: RerankerParts) -> Reranker | None:
    return LateInteractionReranker(parts.embed_question, parts.tokens) if parts.tokens else None


RERANKERS: dict[str, Callable[[RerankerParts], Reranker | None]] = {
    "none": lambda _: None,
    "built-in": _built_in,
    "openai": lambda parts: OpenAIReranker(parts.options),
    "remote": lambda parts: RemoteReranker(parts.options),
}
