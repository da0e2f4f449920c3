"""What the Rerankers page has in hand in one tab."""

from __future__ import annotations

from dataclasses import dataclass

from engine.evaluation.model import ArmResult, ImportReport

VIEWS = ("One question", "Question sets", "Runs", "Live")


@dataclass(slots=True)
class ComparisonState:
    """view: which of VIEWS is open; switches: counts the times that the page itself changed it.

    question, rerankers: of the comparison shown. arms: its lists, in the order in which they are
    shown. blind: whether their names are hidden until `voted`.
    set_id, run_ids: what is open. imported: what the last import told.
    deleted_set, deleted_run: what was just deleted, for undoing it.
    uploads: counts imports, so that the uploader starts empty.
    """

    view: str = VIEWS[0]
    switches: int = 0
    question: str = ""
    rerankers: tuple[str, ...] = ()
    arms: tuple[ArmResult, ...] = ()
    blind: bool = False
    voted: bool = False
    set_id: int | None = None
    run_ids: tuple[int, ...] = ()
    imported: ImportReport | None = None
    deleted_set: int | None = None
    deleted_run: int | None = None
    uploads: int = 0

    def open(self, view: str) -> None:
        """Have another view from the next run on."""
        self.view = view
        self.switches += 1

    def compare(self, question: str, rerankers: tuple[str, ...]) -> None:
        """Have these side by side on this question, in the open."""
        self.question, self.rerankers = question, rerankers
        self.arms, self.blind, self.voted = (), False, False
        self.open(VIEWS[0])
