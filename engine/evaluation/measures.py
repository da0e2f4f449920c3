"""How good one list is for one question, by its judgments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.evaluation.model import Judgment
from engine.retrieval.model import Candidate

CUT = 10  # of nDCG and MRR
GIVEN = 5  # passages that an answer is given, by default


@dataclass(frozen=True, slots=True)
class Measures:
    """nDCG@10, MRR@10, Recall@5, and the recall of the whole list: each in [0, 1]."""

    ndcg: float
    mrr: float
    recall: float
    reachable: float


def measure(
    judgments: Sequence[Judgment], candidates: Sequence[Candidate], file_names: Mapping[int, str]
) -> Measures | None:
    """None where nothing is judged relevant. file_names: of documents by id, as far as judged.

    Where whole documents are judged, documents are ranked, each at its best passage; else
    passages, and one that says word for word what a judged one says is that one.
    """
    gains = {_unit(judgment): judgment.gain for judgment in judgments}
    if not any(gain > 0 for gain in gains.values()):
        return None
    import ir_measures
    from ir_measures import RR, R, nDCG

    whole = all(not judgment.content_hash for judgment in judgments)
    units = list(dict.fromkeys(_unit_of(c, gains, file_names, whole=whole) for c in candidates))
    relevant = [ir_measures.Qrel("q", unit, gain) for unit, gain in gains.items()]
    run = [ir_measures.ScoredDoc("q", unit, float(-rank)) for rank, unit in enumerate(units)]
    wanted = {"ndcg": nDCG @ CUT, "mrr": RR @ CUT, "recall": R @ GIVEN, "reachable": R @ max(len(units), 1)}
    found: Any = ir_measures.calc_aggregate(list(wanted.values()), relevant, run) if run else {}
    return Measures(**{name: float(found.get(of, 0.0)) for name, of in wanted.items()})


def _unit(judgment: Judgment) -> str:
    return f"passage {judgment.content_hash}" if judgment.content_hash else f"document {judgment.file_name}"


def _unit_of(
    candidate: Candidate, gains: Mapping[str, int], file_names: Mapping[int, str], *, whole: bool
) -> str:
    passage = candidate.passage
    document = f"document {file_names.get(passage.document_id) or passage.document_id}"
    itself = f"passage {passage.content_hash}"
    if whole or (itself not in gains and document in gains):
        return document
    return itself
