"""Rerankers by name: a new one is a file here and a line in RERANKERS."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from engine.errors import BadInput
from engine.reranking.base import Reranker
from engine.reranking.bge import open_bge
from engine.reranking.built_in import LateInteractionReranker
from engine.reranking.cascade import Cascade
from engine.reranking.colbert import open_colbert
from engine.reranking.ms_marco import open_ms_marco
from engine.reranking.near_ties import SECONDS
from engine.reranking.openai import OpenAIReranker
from engine.reranking.options import RerankerOptions
from engine.reranking.remote import RemoteReranker
from engine.reranking.tokens import PassageTokens
from engine.reranking.vectrix import carried
from engine.retrieval.embedders.base import Embedding


@dataclass(frozen=True, slots=True)
class RerankerParts:
    """What a reranker may be built from.

    embed_question: cached. tokens: None where the embedder gives no token vectors.
    options: what the settings say. find: another reranker by its name, once all are made.
    """

    embed_question: Callable[[str], Awaitable[Embedding]]
    tokens: PassageTokens | None
    options: RerankerOptions
    find: Callable[[str], Reranker | None] = lambda _: None


def _built_in(parts: RerankerParts) -> Reranker | None:
    if parts.tokens is None:
        return None
    options = replace(parts.options, timeout_seconds=min(SECONDS, parts.options.timeout_seconds))
    second = open_colbert(options) if carried() else None
    return LateInteractionReranker(parts.embed_question, parts.tokens, second)


def _cascade(parts: RerankerParts) -> Reranker:
    options = parts.options
    if options.cascade_strong not in RERANKERS:
        raise BadInput(
            f"CASCADE_STRONG={options.cascade_strong!r} is no reranker.",
            hint=f"Choose one of: {', '.join(RERANKERS)}.",
        )
    return Cascade(parts.find, options.cascade_strong, options.cascade_depth)


RERANKERS: dict[str, Callable[[RerankerParts], Reranker | None]] = {
    "none": lambda _: None,
    "built-in": _built_in,
    "bge": lambda parts: open_bge(parts.options),
    "cascade": _cascade,
    "ms-marco": lambda parts: open_ms_marco(parts.options),
    "colbert": lambda parts: open_colbert(parts.options),
    "openai": lambda parts: OpenAIReranker(parts.options),
    "remote": lambda parts: RemoteReranker(parts.options),
}
