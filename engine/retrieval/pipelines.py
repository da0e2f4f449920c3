"""Pipelines by name: a search, then perhaps a reranker, then perhaps a mode of asking."""

from __future__ import annotations

from engine.errors import BadInput
from engine.retrieval.retriever import SEARCHES, Search


def parse_pipeline(pipeline: str | None) -> tuple[Search, str, str]:
    """The search, reranker and mode of ``SEARCH[+RERANKER[+MODE]]``; empty names where none is given.

    None is the pipeline that questions go through. Raises BadInput for an unknown search.
    """
    given, reranker, mode = [*(pipeline or "hybrid+").split("+"), "", ""][:3]
    for search in SEARCHES:
        if search == given:
            return search, reranker, mode
    raise BadInput(f"There is no pipeline “{pipeline}”.", hint="Use bm25, dense or hybrid[+RERANKER[+MODE]].")
