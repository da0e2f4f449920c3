"""What the comparison of rerankers gives and takes. Times are in milliseconds, costs in US dollars."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from engine.reranking.base import Status
from engine.retrieval.model import Candidate

Choice = Literal["left", "right", "tie"]
RunStatus = Literal["running", "interrupted", "cancelled", "failed", "done"]


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One reranker's list for one question, best first.

    milliseconds: of the reranking alone. cost_usd: None where no price is known.
    error: why there is no list of its own; `candidates` are then those of `served_by`, which is
    ``none`` for the search's own order.
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
class Contender:
    """A reranker that can be compared, and whether it can serve now; see RerankerState."""

    name: str
    status: Status
    why: str = ""


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """A set of questions, some with judgments.

    tag: of the documents that its questions are asked of; empty: of all.
    judged_count: questions with at least one judgment. record_count: documents that it brought along.
    missing_count: of those, the ones that are not among the documents.
    lost_count: judgments of passages and documents that are no longer there, or not yet.
    """

    id: int
    name: str
    description: str
    created_at: datetime
    question_count: int
    judged_count: int
    unanswerable_count: int
    tag: str = ""
    record_count: int = 0
    missing_count: int = 0
    lost_count: int = 0


@dataclass(frozen=True, slots=True)
class ImportReport:
    """problems: what was left out or is in doubt, each with its file and line; empty where all came in."""

    set: QuestionSet
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judgment:
    """That a passage, or a whole document, answers a question: gain 0 says that it does not.

    file_name, content_hash: what it is about; by content, so that it outlives a new indexing.
    An empty hash stands for the whole document. title, text: as they were judged.
    """

    file_name: str
    content_hash: str
    gain: int
    title: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class SetQuestion:
    """A question of a set. key: its id in files. answerable: False where nothing answers it."""

    id: int
    key: str
    text: str
    answerable: bool
    judgments: tuple[Judgment, ...]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run of rerankers over a set. done, total: questions. finished_at: None while it runs.

    tag: of the documents that the set's questions are asked of; empty: of all.
    error: why it failed. note: what it waits for, where this process works on it.
    settings: what was in force when it was begun: candidates a question, embedder, and the
    generation of the corpus.
    """

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
    error: str = ""
    note: str = ""
    tag: str = ""
    settings: dict[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over questions with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ArmFigures:
    """One reranker in one run, over the questions that are compared.

    ndcg, mrr: of the first 10. recall: share of what is relevant among the first 5, which answers
    are given. None where no question has a relevant passage. cost_usd: a question's, None where no
    price is known. failures: questions that it could not score, or another one scored for it; they
    count with the order that users would have got. risk: risk against coverage over all that it has
    had, the highest threshold first, one point a thousandth of confidence; empty for a set without
    unanswerable questions, or with no others.
    """

    run_id: int
    reranker: str
    ndcg: Estimate | None
    mrr: Estimate | None
    recall: Estimate | None
    p50_ms: float
    p95_ms: float
    cost_usd: float | None
    failures: int
    risk: tuple[RiskPoint, ...] = ()


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
class ArmPair:
    """As Pair, of two places in a report's arms; p_value corrected for the number of pairs (Holm 1979).

    low, high: 95 % bootstrap interval of the difference.
    """

    a: int
    b: int
    difference: float
    low: float
    high: float
    p_value: float
    wins: int
    losses: int
    ties: int


@dataclass(frozen=True, slots=True)
class RunReport:
    """What runs over one set have measured so far, over the questions that all of them have done.

    questions: how many those are; judged: with a relevant passage. reachable: share of what is
    relevant that the searches find at all, which no reranker can exceed.
    """

    summaries: tuple[RunSummary, ...]
    questions: int
    judged: int
    reachable: float | None
    arms: tuple[ArmFigures, ...]
    pairs: tuple[ArmPair, ...]


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


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a challenger ordered real questions, against the reranker that answered them.

    questions: that it scored; failures: that it could not. dropped: drawn, but left out because
    the process was busy. same_first: share with the same first passage. overlap: of the first 5.
    kendall: Kendall's tau over the first 10 of both, from -1 to 1. rbo: rank-biased overlap
    (Webber, Moffat & Zobel 2010) with p = 0.9, from 0 to 1. citations_kept: share of cited
    passages that it too has among the first 5; up, down: the same for answers with that thumb.
    Means are None where there is nothing to take them of. milliseconds: the challenger's median.
    """

    champion: str
    challenger: str
    questions: int
    failures: int
    dropped: int
    since: datetime
    same_first: float | None
    overlap: float | None
    kendall: float | None
    rbo: float | None
    citations_kept: float | None
    citations_kept_up: float | None
    citations_kept_down: float | None
    milliseconds: float | None
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class Thumbs:
    """Votes of readers on answers that one reranker served."""

    reranker: str
    answers: int
    up: int
    down: int
