"""Comparing rerankers: on one question, over question sets, and on what users really ask."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import get_args

from sqlalchemy import func, insert, select

from engine.access.audit import Audit, named
from engine.access.principal import Access
from engine.documents.model import DocumentFilter
from engine.errors import BadInput
from engine.evaluation.arms import contender, depth_of, run_arm
from engine.evaluation.live import Live
from engine.evaluation.model import ArmResult, Choice, Contender, ImportReport, VoteSummary
from engine.evaluation.question_sets import QuestionSets
from engine.evaluation.runs import Runs
from engine.evaluation.set_documents import SetDocuments
from engine.evaluation.set_files import export_set, import_set
from engine.reranking.base import Reranker
from engine.retrieval.retriever import Retriever
from engine.storage.database import Database
from engine.storage.tables import reranker_votes

_CHOICES: tuple[Choice, ...] = get_args(Choice)
_KEPT_PASSAGES = 10


class Comparison:
    """sets, documents: question sets, and those that bring documents along. runs: over sets.

    live: on real questions.
    """

    def __init__(
        self,
        database: Database,
        retriever: Retriever,
        rerankers: Mapping[str, Reranker | None],
        check: Callable[[str], str],
        admit: Callable[[str], Awaitable[str]],
        audit: Audit,
        access: Access,
        *,
        sets: QuestionSets,
        documents: SetDocuments,
        runs: Runs,
        live: Live,
        k: int,
    ) -> None:
        self._database = database
        self._retriever = retriever
        self._rerankers = rerankers
        self._check = check
        self._admit = admit
        self._audit = audit
        self._access = access
        self._k = k
        self.sets = sets
        self.documents = documents
        self.runs = runs
        self.live = live

    def contenders(self) -> list[Contender]:
        """All rerankers that there are, and whether each can serve now."""
        return [contender(name, reranker) for name, reranker in self._rerankers.items()]

    async def stream(
        self, question: str, rerankers: Sequence[str], filter: DocumentFilter = DocumentFilter()
    ) -> AsyncIterator[ArmResult]:
        """One retrieval, then one list a reranker as it comes, in the order given; nothing cached.

        Each is timed alone. One that fails gives the search's order, with its error.
        Raises BadInput, TooMany, DatabaseUnavailable.
        """
        question = await self._admit(question)
        chosen: dict[str, Reranker | None] = {}
        for name in rerankers:
            if name not in self._rerankers:
                known = ", ".join(self._rerankers)
                raise BadInput(f"There is no reranker “{name}”.", hint=f"Choose from: {known}.")
            chosen[name] = self._rerankers[name]
        found = await self._retriever.candidates(question, filter=filter, k=self._k, depth=depth_of(chosen))
        await self._audit.record("search", outcome=named(c.passage.document_id for c in found.candidates))
        for name, reranker in chosen.items():
            yield await run_arm(question, found, name, reranker)

    async def vote(
        self, question: str, left: ArmResult, right: ArmResult, choice: Choice, *, blind: bool
    ) -> None:
        """Keep which of two lists a person found better. left, right: as they were shown."""
        if choice not in _CHOICES:
            raise BadInput(f"“{choice}” is no vote.", hint=f"Choose one of: {', '.join(_CHOICES)}.")
        row = {
            "question": self._check(question),
            "left_reranker": left.reranker,
            "right_reranker": right.reranker,
            "left_passages": [c.passage.id for c in left.candidates[:_KEPT_PASSAGES]],
            "right_passages": [c.passage.id for c in right.candidates[:_KEPT_PASSAGES]],
            "blind": blind,
            "choice": choice,
        }
        async with self._database.write() as db:
            await db.execute(insert(reranker_votes).values(row))

    async def votes(self) -> list[VoteSummary]:
        """All votes by pair, whichever side each was shown on, the most voted first."""
        columns = reranker_votes.c
        statement = select(
            columns.left_reranker, columns.right_reranker, columns.choice, columns.blind, func.count()
        ).group_by(columns.left_reranker, columns.right_reranker, columns.choice, columns.blind)
        async with self._database.read() as db:
            rows = (await db.execute(statement)).all()
        counts: dict[tuple[str, str], dict[str, int]] = {}
        for shown_left, shown_right, choice, blind, count in rows:
            left, right = sorted((shown_left, shown_right))
            if shown_left != left:
                choice = {"left": "right", "right": "left"}.get(choice, choice)
            of = counts.setdefault((left, right), dict.fromkeys((*_CHOICES, "blind"), 0))
            of[choice] += count
            of["blind"] += count if blind else 0
        summaries = [
            VoteSummary(left, right, of["left"], of["right"], of["tie"], of["blind"])
            for (left, right), of in counts.items()
        ]
        return sorted(summaries, key=lambda votes: -(votes.left_wins + votes.right_wins + votes.ties))

    async def import_set(self, name: str, files: Mapping[str, bytes], description: str = "") -> ImportReport:
        """See `engine.evaluation.set_files.import_set`."""
        return await import_set(
            self._database, self.sets, name, files, self._check, self._access, description
        )

    async def export_set(self, set_id: int) -> bytes:
        """See `engine.evaluation.set_files.export_set`."""
        await self.sets.get(set_id)
        return await export_set(self._database, set_id, self._access)
