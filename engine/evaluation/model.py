"""What the comparison of rerankers gives and takes. Times are in milliseconds, costs in US dollars."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from engine.retrieval.model import Candidate

Choice = Literal["left", "right", "tie"]
RunStatus = Literal["running", "interrupted", "cancelled", "failed", "done"]


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One reranker's list for one question, best first.

    milliseconds: of the reranking alone. cost_usd: None where no price is known.
    error: why there is no list of its own; `candidates` are then the search's.
    """

    reranker: str
    served_by: str
    candidates: tuple[Candidate, ...]
    milliseconds: float
    cost_usd: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    notice: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class VoteSummary:
    """Votes on two rerankers' lists, whichever side each was shown on; left < right by name."""

    left: str
    right: str
    left_wins: int
    right_wins: int
    ties: int
    blind: int


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """judged_count: questions with at least one judgment."""

    id: int
    name: str
    description: str
    created_at: datetime
    question_count: int
    judged_count: int
    unanswerable_count: int


@dataclass(frozen=True, slots=True)
class ImportReport:
    """problems: what was left out, each with its file and line; empty where all came in."""

    set: QuestionSet
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SetQuestion:
    """judgments: passage id → gain, 0 for judged and not relevant."""

    id: int
    text: str
    answerable: bool
    judgments: dict[int, int]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """done, total: questions. finished_at: None while it runs."""

    id: int
    name: str
    set_id: int
    set_name: str
    rerankers: tuple[str, ...]
    status: RunStatus
    done: int
    total: int
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over questions with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ArmFigures:
    """Measures are None where no question has a relevant passage. failures: questions it could not score."""

    reranker: str
    ndcg: Estimate | None
    mrr: Estimate | None
    recall: Estimate | None
    p50_ms: float
    p95_ms: float
    cost_usd: float | None
    failures: int


@dataclass(frozen=True, slots=True)
class Pair:
    """nDCG@10 of `a` less that of `b`, question by question; p_value of a paired randomisation test."""

    a: str
    b: str
    difference: float
    p_value: float
    wins: int
    losses: int
    ties: int


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run has measured so far."""

    summary: RunSummary
    judged: int
    arms: tuple[ArmFigures, ...]
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class PerQuestion:
    """nDCG@10 of one question with two rerankers."""

    question_id: int
    text: str
    a: float
    b: float


@dataclass(frozen=True, slots=True)
class RiskPoint:
    """Answering only where the best score is at least `threshold`.

    coverage: share of all questions then answered. risk: share of those that nothing answers.
    """

    threshold: float
    coverage: float
    risk: float
