"""Runs and their results in PostgreSQL; which process works on which run."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Row,
    Text,
    and_,
    any_,
    case,
    cast,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from engine.errors import NotFound
from engine.evaluation.judging import load_judgments
from engine.evaluation.measures import Measures
from engine.evaluation.model import ArmResult, PerQuestion, RunSummary, SetQuestion
from engine.evaluation.question_sets import tag_of
from engine.storage.database import Database
from engine.storage.tables import corpus, documents, question_sets, run_results, runs, set_questions

_ASKED = and_(set_questions.c.set_id == runs.c.set_id, set_questions.c.deleted_at.is_(None))
_TOTAL = select(func.count()).where(_ASKED).scalar_subquery().label("total")
# A question's results are kept together, those of all rerankers.
_DONE = (
    (
        select(func.count())
        .select_from(run_results)
        .join(set_questions, set_questions.c.id == run_results.c.question_id)
        .where(run_results.c.run_id == runs.c.id, set_questions.c.deleted_at.is_(None))
        .correlate(runs)
        .scalar_subquery()
    )
    .op("/")(func.cardinality(runs.c.rerankers))
    .label("done")
)
# Whoever worked on it has not said so for too long: the process has ended.
_STATUS = case(
    (and_(runs.c.status == "running", runs.c.claimed_until < func.now()), "interrupted"),
    else_=runs.c.status,
).label("seen_status")


@dataclass(frozen=True, slots=True)
class Result:
    """What one reranker did with one question. measures: None where nothing is judged relevant."""

    question_id: int
    arm: ArmResult
    measures: Measures | None
    confidence: float


class RunStore:
    """Every method raises NotFound for a run that is not there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, set_id: int | None = None) -> builtins.list[RunSummary]:
        """Runs, the latest first; of one set, if given."""
        statement = _runs().order_by(runs.c.id.desc())
        if set_id is not None:
            statement = statement.where(runs.c.set_id == set_id)
        async with self._database.read() as db:
            return [_summary(row) for row in await db.execute(statement)]

    async def get(self, run_id: int) -> RunSummary:
        """One run."""
        async with self._database.read() as db:
            row = (await db.execute(_runs().where(runs.c.id == run_id))).first()
        if row is None:
            raise _no_run()
        return _summary(row)

    async def create(
        self, name: str, set_id: int, rerankers: Sequence[str], settings: dict[str, str | int]
    ) -> int:
        """A run that nobody works on yet. The generation of the corpus joins the settings."""
        values: dict[str, object] = {
            "name": name,
            "set_id": set_id,
            "rerankers": [*rerankers],
            "status": "running",
            "claimed_until": func.now(),
        }
        async with self._database.write() as db:
            generation = (await db.execute(select(corpus.c.generation))).scalar_one()
            values["settings"] = {**settings, "generation": generation}
            added = await db.execute(insert(runs).values(values).returning(runs.c.id))
            return int(added.scalar_one())

    async def claim(self, run_id: int, worker: UUID, seconds: float) -> bool:
        """Take a run that has not been finished and that nobody works on."""
        free = or_(runs.c.status != "running", runs.c.claimed_until <= func.now())
        values = {"worker": worker, "claimed_until": _from_now(seconds), "status": "running", "error": ""}
        async with self._database.write() as db:
            changed = await db.execute(
                update(runs)
                .where(runs.c.id == run_id, runs.c.deleted_at.is_(None), runs.c.status != "done", free)
                .values(**values, finished_at=None)
            )
            return bool(changed.rowcount)

    async def keep(self, run_id: int, worker: UUID, seconds: float) -> bool:
        """Say that it is still worked on; False where it has been cancelled or taken."""
        return await self._mine(run_id, worker, claimed_until=_from_now(seconds))

    async def leave(self, run_id: int, worker: UUID) -> None:
        """Let another process go on with it."""
        await self._mine(run_id, worker, claimed_until=func.now() - timedelta(seconds=1))

    async def finish(self, run_id: int, worker: UUID, status: str, error: str = "") -> None:
        """Done, or failed and why."""
        await self._mine(run_id, worker, status=status, error=error, finished_at=func.now())

    async def cancel(self, run_id: int) -> None:
        """Whoever works on it stops; its results stay."""
        await self._change(
            and_(runs.c.id == run_id, runs.c.status == "running"), status="cancelled", finished_at=func.now()
        )

    async def delete(self, run_id: int) -> None:
        """Hide it, and stop it; `restore` brings it back until it is purged."""
        await self.get(run_id)
        await self.cancel(run_id)
        await self._change(runs.c.id == run_id, deleted_at=func.now())

    async def restore(self, run_id: int) -> None:
        """Undo `delete`."""
        await self._change(runs.c.id == run_id, deleted_at=None)
        await self.get(run_id)

    async def rename(self, run_id: int, name: str) -> None:
        """Give it another name."""
        await self.get(run_id)
        await self._change(runs.c.id == run_id, name=name)

    async def leave_only(self, run_id: int, rerankers: Sequence[str], name: str) -> None:
        """Have these of its rerankers and no others, whose results go."""
        others = and_(run_results.c.run_id == run_id, run_results.c.reranker.not_in(rerankers))
        async with self._database.write() as db:
            await db.execute(delete(run_results).where(others))
            await db.execute(
                update(runs).where(runs.c.id == run_id).values(rerankers=[*rerankers], name=name)
            )

    async def add(self, run_id: int, results: Sequence[Result]) -> None:
        """Keep what rerankers did; what is there already stays."""
        rows = [_result_row(run_id, result) for result in results]
        async with self._database.write() as db:
            await db.execute(upsert(run_results).on_conflict_do_nothing(), rows)

    async def todo(self, run_id: int) -> builtins.list[tuple[SetQuestion, frozenset[str]]]:
        """Questions with the rerankers that have not had them, in the set's order."""
        done = (
            select(func.coalesce(func.array_agg(run_results.c.reranker), []))
            .where(run_results.c.run_id == run_id, run_results.c.question_id == set_questions.c.id)
            .scalar_subquery()
        )
        statement = (
            select(set_questions, runs.c.rerankers, done.label("had"))
            .join(runs, _ASKED)
            .where(runs.c.id == run_id)
            .order_by(set_questions.c.id)
        )
        async with self._database.read() as db:
            rows = (await db.execute(statement)).all()
            judged = await load_judgments(db, [row.id for row in rows])
        return [
            (SetQuestion(row.id, row.key, row.text, row.answerable, judged.get(row.id, ())), missing)
            for row in rows
            if (missing := frozenset(row.rerankers) - frozenset(row.had))
        ]

    async def results(self, run_ids: Sequence[int]) -> builtins.list[Row[Any]]:
        """All results of these runs on questions that are still in the set."""
        statement = (
            _results(run_results, set_questions.c.answerable)
            .where(run_results.c.run_id.in_(run_ids))
            .order_by(run_results.c.question_id)
        )
        async with self._database.read() as db:
            return [*(await db.execute(statement)).all()]

    async def state(self, run_ids: Sequence[int]) -> tuple[int, int]:
        """What changes whenever `results` do, without sending them here."""
        columns = run_results.c
        told = func.concat_ws(
            " ", columns.run_id, columns.question_id, columns.reranker, set_questions.c.answerable
        )
        each = func.hashtextextended(told, cast(0, BigInteger))
        statement = _results(func.count(), func.coalesce(func.bit_xor(each), 0))
        async with self._database.read() as db:
            count, all_of_them = (await db.execute(statement.where(columns.run_id.in_(run_ids)))).one()
        return count, all_of_them

    async def differences(
        self, a: tuple[int, str], b: tuple[int, str], limit: int
    ) -> builtins.list[PerQuestion]:
        """nDCG@10 of judged questions with two rerankers of runs, the largest difference first."""
        first, second = run_results.alias(), run_results.alias()
        statement = (
            select(set_questions.c.id, set_questions.c.text, first.c.ndcg, second.c.ndcg)
            .join(first, first.c.question_id == set_questions.c.id)
            .join(second, second.c.question_id == set_questions.c.id)
            .where(
                first.c.run_id == a[0],
                first.c.reranker == a[1],
                second.c.run_id == b[0],
                second.c.reranker == b[1],
                first.c.ndcg.is_not(None),
                second.c.ndcg.is_not(None),
                set_questions.c.deleted_at.is_(None),
            )
            .order_by(func.abs(first.c.ndcg - second.c.ndcg).desc(), set_questions.c.id)
            .limit(limit)
        )
        async with self._database.read() as db:
            return [PerQuestion(*row) for row in await db.execute(statement)]

    async def judged_documents(self, questions: Sequence[SetQuestion]) -> dict[int, str]:
        """File names, by id, of the documents here that are judged as a whole."""
        names = {j.file_name for question in questions for j in question.judgments if not j.content_hash}
        statement = select(documents.c.id, documents.c.file_name).where(
            documents.c.file_name == any_(literal([*names], ARRAY(Text))), documents.c.deleted_at.is_(None)
        )
        async with self._database.read() as db:
            return {document_id: name for document_id, name in await db.execute(statement)}

    async def _mine(self, run_id: int, worker: UUID, **values: object) -> bool:
        async with self._database.write() as db:
            changed = await db.execute(
                update(runs)
                .where(runs.c.id == run_id, runs.c.worker == worker, runs.c.status == "running")
                .values(**values)
            )
            return bool(changed.rowcount)

    async def _change(self, which: ColumnElement[bool], **values: object) -> None:
        async with self._database.write() as db:
            await db.execute(update(runs).where(which).values(**values))


def _results(*columns: Any) -> Any:
    return (
        select(*columns)
        .select_from(run_results)
        .join(set_questions, set_questions.c.id == run_results.c.question_id)
        .where(set_questions.c.deleted_at.is_(None))
    )


def _runs() -> Any:
    return (
        select(
            *runs.c,
            _STATUS,
            _TOTAL,
            _DONE,
            question_sets.c.name.label("set_name"),
            question_sets.c.own_corpus,
        )
        .join(question_sets, question_sets.c.id == runs.c.set_id)
        .where(runs.c.deleted_at.is_(None), question_sets.c.deleted_at.is_(None))
    )


def _summary(row: Row[Any]) -> RunSummary:
    return RunSummary(
        id=row.id,
        name=row.name,
        set_id=row.set_id,
        set_name=row.set_name,
        rerankers=tuple(row.rerankers),
        status=row.seen_status,
        done=row.done,
        total=row.total,
        started_at=row.started_at,
        finished_at=row.finished_at,
        error=row.error,
        tag=tag_of(row.set_id) if row.own_corpus else "",
        settings=row.settings,
    )


def _result_row(run_id: int, result: Result) -> dict[str, object]:
    arm, measures = result.arm, result.measures
    return {
        "run_id": run_id,
        "question_id": result.question_id,
        "reranker": arm.reranker,
        "ndcg": measures and measures.ndcg,
        "mrr": measures and measures.mrr,
        "recall": measures and measures.recall,
        "reachable": measures and measures.reachable,
        "confidence": result.confidence,
        "milliseconds": arm.milliseconds,
        "cost_usd": arm.cost_usd,
        "prompt_tokens": arm.prompt_tokens,
        "completion_tokens": arm.completion_tokens,
        "notice": arm.notice,
        "error": arm.error,
    }


def _from_now(seconds: float) -> ColumnElement[Any]:
    return func.now() + literal(timedelta(seconds=seconds))


def _no_run() -> NotFound:
    return NotFound("There is no such run.", hint="It may have been deleted.")
