"""What the Rerankers page has in hand in one tab."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from engine.evaluation.model import ArmResult, ImportReport

VIEWS = ("One question", "Question sets", "Runs", "Live")

Kind = Literal["set", "question", "run"]


@dataclass(frozen=True, slots=True)
class Removed:
    """What was just deleted, by its id."""

    kind: Kind
    id: int


@dataclass(slots=True)
class ComparisonState:
    """view: which of VIEWS is open; switches: counts the times that the page itself changed it.

    question, rerankers: of the comparison shown. arms: its lists, in the order in which they are
    shown. blind: whether their names are hidden until `voted`. tag: of the documents that the question
    is asked of; empty: of all.
    set_id, run_ids: what is open. imported: what the last import told.
    removed: for undoing it.
    paces: of runs, by id: when this tab first saw one measure, and how many questions were done then.
    uploads: counts imports and what else changes the sets, so that their widgets start anew.
    """

    view: str = VIEWS[0]
    switches: int = 0
    question: str = ""
    rerankers: tuple[str, ...] = ()
    arms: tuple[ArmResult, ...] = ()
    blind: bool = False
    voted: bool = False
    tag: str = ""
    set_id: int | None = None
    run_ids: tuple[int, ...] = ()
    imported: ImportReport | None = None
    removed: Removed | None = None
    uploads: int = 0
    paces: dict[int, tuple[float, int]] = field(default_factory=dict)

    def open(self, view: str) -> None:
        """Have another view from the next run on."""
        self.view = view
        self.switches += 1

    def compare(self, question: str, rerankers: tuple[str, ...], tag: str) -> None:
        """Have these side by side on this question, in the open."""
        self.question, self.rerankers, self.tag = question, rerankers, tag
        self.arms, self.blind, self.voted = (), False, False
        self.open(VIEWS[0])
