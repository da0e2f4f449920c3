"""What retrieval gives: candidates with every score that led to their place."""

from __future__ import annotations

from dataclasses import dataclass

from engine.documents.model import Passage


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that may answer the question.

    lexical: BM25 score, None if the lexical search did not find it.
    dense: cosine similarity, None if the vector search did not find it.
    fused: the two combined, in [0, 1].
    reranked: the reranker's own score, None where it gave none.
    score: what the list is sorted by.
    """

    passage: Passage
    lexical: float | None
    dense: float | None
    fused: float
    reranked: float | None
    score: float


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Candidates, best first.

    found: passages that the searches gave before reranking.
    notice: a sentence for the reader where something was left out; usually empty.
    asked_as: the earlier, nearly equal question that this was found for; usually empty.
    reranker: name of the one that gave the order, ``none`` without.
    key: stands for the question, its scope, the corpus as it is and all settings behind them.
    new: it was found for this very question, so that nothing that follows from it is cached yet.
    """

    candidates: tuple[Candidate, ...]
    found: int
    notice: str = ""
    key: str = ""
    asked_as: str = ""
    reranker: str = "none"
    new: bool = False
