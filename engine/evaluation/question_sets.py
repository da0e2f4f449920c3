"""Question sets in PostgreSQL: made by hand, from chat, or from files."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row, delete, exists, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.access.collections import readable_ids
from engine.access.principal import OPEN, Access
from engine.answering.model import Answer
from engine.documents.model import Passage
from engine.errors import BadInput, NotFound
from engine.evaluation.judging import add_question, judge_passages, load_judgments
from engine.evaluation.model import Judgment, QuestionSet, SetQuestion
from engine.storage.database import Database
from engine.storage.tables import (
    documents,
    judgments,
    question_sets,
    runs,
    sessions,
    set_questions,
    set_records,
    turns,
)
from engine.text.normalisation import normalise, normalise_question

_ANSWER = TypeAdapter(Answer)
NAME_LENGTH = 80
MOST_GAIN = 1000

_LIVING = question_sets.c.deleted_at.is_(None)
_ASKED = set_questions.c.deleted_at.is_(None)
_OF_SET = (set_questions.c.set_id == question_sets.c.id) & _ASKED
_JUDGED = exists().where(judgments.c.question_id == set_questions.c.id)
_RECORD_IS_THERE = exists().where(
    documents.c.file_name == set_records.c.file_name, documents.c.deleted_at.is_(None)
)
_RECORDS = select(func.count()).where(set_records.c.set_id == question_sets.c.id)
# A judgment whose document is gone, or no longer says that. Many, so they are joined, not looked up.
_LOST = text("""
    SELECT count(*) FROM judgments
    JOIN set_questions ON set_questions.id = judgments.question_id AND set_questions.deleted_at IS NULL
    LEFT JOIN documents ON documents.file_name = judgments.file_name AND documents.deleted_at IS NULL
        AND (CAST(:own AS int[]) IS NULL OR documents.collection_id = ANY(CAST(:own AS int[])))
    WHERE set_questions.set_id = :set_id AND (
        documents.id IS NULL OR judgments.content_hash <> '' AND NOT EXISTS (
            SELECT FROM passages WHERE passages.document_id = documents.id
            AND passages.content_hash = judgments.content_hash
        )
    )
""")


class QuestionSets:
    """Every method raises NotFound for a set or question that is not there.

    Operators share sets; what a set says of documents that one of them may not read is not there for them.
    """

    def __init__(self, database: Database, access: Access = OPEN) -> None:
        self._database = database
        self._access = access

    async def list(self) -> builtins.list[QuestionSet]:
        """All sets, by name; without what is lost, which takes longer: see `get`."""
        async with self._database.read() as db:
            rows = await db.execute(_sets().order_by(func.lower(question_sets.c.name)))
            return [_set(row) for row in rows]

    async def get(self, set_id: int) -> QuestionSet:
        """One set, with how many of its judgments are of passages that are not there."""
        async with self._database.read() as db:
            row = (await db.execute(_sets().where(question_sets.c.id == set_id))).first()
            if row is None:
                raise _no_set()
            own = await readable_ids(db, self._access)
            lost = (await db.execute(_LOST, {"set_id": set_id, "own": own})).scalar_one()
        return _set(row, lost)

    async def create(self, name: str, description: str = "") -> QuestionSet:
        """A new, empty set; a name that is taken gets a number behind it. Raises BadInput for none."""
        async with self._database.write() as db:
            set_id, _ = await add_set(db, name, description)
        return await self.get(set_id)

    async def rename(self, set_id: int, name: str) -> None:
        """Give it another name. Raises BadInput for an empty or a taken one."""
        async with self._database.write() as db:
            name = checked_name(name)
            await _lock_names(db)
            if name in await _names(db, but=set_id):
                raise BadInput(f"There is another set “{name}”.", hint="Choose another name.")
            await _change(db, set_id, name=name)

    async def delete(self, set_id: int) -> None:
        """Hide it and stop its runs; `restore` brings it back until it is purged. Its documents stay."""
        async with self._database.write() as db:
            await _change(db, set_id, deleted_at=func.now())
            await db.execute(
                update(runs)
                .where(runs.c.set_id == set_id, runs.c.status == "running")
                .values(status="cancelled")
            )

    async def restore(self, set_id: int) -> None:
        """Undo `delete`; where its name has been taken, it gets a number behind it."""
        async with self._database.write() as db:
            await _lock_names(db)
            row = await db.execute(select(question_sets.c.name).where(question_sets.c.id == set_id))
            if (name := row.scalar()) is None:
                raise _no_set()
            free = _free_name(name, await _names(db, but=set_id))
            await db.execute(
                update(question_sets).where(question_sets.c.id == set_id).values(deleted_at=None, name=free)
            )

    async def purge(self, older_than_seconds: float) -> int:
        """Remove for good what was deleted longer ago than that."""
        too_late = func.now() - timedelta(seconds=older_than_seconds)
        async with self._database.write() as db:
            await db.execute(delete(set_questions).where(set_questions.c.deleted_at <= too_late))
            await db.execute(delete(runs).where(runs.c.deleted_at <= too_late))
            gone = await db.execute(delete(question_sets).where(question_sets.c.deleted_at <= too_late))
            return int(gone.rowcount)

    async def questions(
        self, set_id: int, *, search: str = "", offset: int = 0, limit: int = 50
    ) -> tuple[builtins.list[SetQuestion], int]:
        """A page of questions with their judgments, and how many match in all."""
        where = (set_questions.c.set_id == set_id) & _ASKED
        if search := normalise(search):
            where &= set_questions.c.text.icontains(search, autoescape=True)
        statement = select(set_questions).where(where).order_by(set_questions.c.id)
        async with self._database.read() as db:
            rows = (await db.execute(statement.offset(offset).limit(limit))).all()
            total = await db.execute(select(func.count()).select_from(set_questions).where(where))
            judged = await load_judgments(db, [row.id for row in rows], self._access)
            return [_question(row, judged) for row in rows], int(total.scalar_one())

    async def remove_question(self, question_id: int) -> None:
        """Take a question out; `restore_question` puts it back."""
        await self._change_question(question_id, deleted_at=func.now())

    async def restore_question(self, question_id: int) -> None:
        """Undo `remove_question`."""
        await self._change_question(question_id, deleted_at=None)

    async def judge(self, set_id: int, question: str, passage: Passage, gain: int | None) -> None:
        """Say that a passage answers a question (1 and more) or does not (0); None takes that back.

        The question is added to the set where it is not in it. Raises BadInput for a gain out of range.
        """
        if gain is not None and not 0 <= gain <= MOST_GAIN:
            raise BadInput(f"A gain is from 0 to {MOST_GAIN:,}, not {gain}.")
        async with self._database.write() as db:
            await _require(db, set_id)
            question_id = await add_question(db, set_id, question, answerable=True)
            await judge_passages(db, question_id, [passage], gain)

    async def judge_all(
        self, set_id: int | None, question: str, shown: Sequence[Passage], relevant: Sequence[Passage]
    ) -> int:
        """Say which of the passages shown answer a question, or that none does, nor any other.

        set_id: None makes a set. What is judged already keeps its gain, and what was not shown its
        judgment, unless nothing answers. Returns the set's id. Raises BadInput for no question.
        """
        async with self._database.write() as db:
            if set_id is None:
                set_id, _ = await add_set(db, "My questions")
            await _require(db, set_id)
            question_id = await add_question(db, set_id, question, answerable=bool(relevant))
            if not relevant:
                await db.execute(delete(judgments).where(judgments.c.question_id == question_id))
                return set_id
            known = (await load_judgments(db, [question_id])).get(question_id, ())
            answering = {judgment.content_hash for judgment in known if judgment.gain > 0}
            chosen = {passage.content_hash for passage in relevant}
            given_up = [p for p in shown if p.content_hash in answering - chosen]
            await judge_passages(db, question_id, given_up, None)
            await judge_passages(db, question_id, [p for p in relevant if p.content_hash not in answering], 1)
        return set_id

    async def find(self, set_id: int, question: str) -> SetQuestion | None:
        """The set's question of that text, if it has it."""
        asked = select(set_questions).where(
            set_questions.c.set_id == set_id, set_questions.c.text == normalise_question(question), _ASKED
        )
        async with self._database.read() as db:
            row = (await db.execute(asked.order_by(set_questions.c.id))).first()
            return _question(row, await load_judgments(db, [row.id], self._access)) if row else None

    async def from_chat(self, name: str) -> QuestionSet:
        """A new set as `add_from_chat` fills it. Raises BadInput where that finds nothing."""
        async with self._database.write() as db:
            set_id, _ = await add_set(db, name)
            liked, added = await self._add_liked(db, set_id)
            if not liked:
                raise BadInput("No answer has a thumb up yet.", hint="Give one under an answer in Chat.")
            if not added:
                raise BadInput(
                    "No answer with a thumb up cites a passage.",
                    hint="Give one to an answer with sources, or to a “not in the documents” that is right.",
                )
        return await self.get(set_id)

    async def add_from_chat(self, set_id: int) -> int:
        """Add every question whose answer has a thumb up; returns how many were new to the set.

        What such an answer cites is relevant; a liked “not in the documents” is a question that
        nothing answers. A thumb down says too little to judge a passage by. With access control
        these are one's own sessions: others' are not looked into.
        """
        async with self._database.write() as db:
            await _require(db, set_id)
            return (await self._add_liked(db, set_id))[1]

    async def _add_liked(self, db: AsyncConnection, set_id: int) -> tuple[int, int]:
        """How many answers are liked, and how many of their questions were new."""
        liked = (
            select(turns.c.answer)
            .join(sessions, sessions.c.id == turns.c.session_id)
            .where(turns.c.vote == "up", sessions.c.deleted_at.is_(None))
            .order_by(turns.c.id)
        )
        if self._access.on:
            liked = liked.where(sessions.c.owner == self._access.principal().id)
        before = await _count(db, set_id)
        answers = (await db.execute(liked)).scalars().all()
        for answer in answers:
            await _add_answer(db, set_id, _ANSWER.validate_python(answer))
        return len(answers), await _count(db, set_id) - before

    async def _change_question(self, question_id: int, **values: object) -> None:
        async with self._database.write() as db:
            changed = await db.execute(
                update(set_questions).where(set_questions.c.id == question_id).values(**values)
            )
            if not changed.rowcount:
                raise _no_question()


async def add_set(
    db: AsyncConnection, name: str, description: str = "", *, own_corpus: bool = False
) -> tuple[int, str]:
    """A new set's id and the name that it got."""
    name = checked_name(name)
    await _lock_names(db)
    free = _free_name(name, await _names(db))
    values = {"name": free, "description": normalise(description)[:1000], "own_corpus": own_corpus}
    row = await db.execute(insert(question_sets).values(values).returning(question_sets.c.id))
    return int(row.scalar_one()), free


def checked_name(name: str) -> str:
    """A set's or run's name in its normal form. Raises BadInput for an empty one."""
    if not (name := normalise(name.replace(",", " "))[:NAME_LENGTH].strip()):
        raise BadInput("It needs a name.")
    return name


def tag_of(set_id: int) -> str:
    """The tag of the documents that a set brought along."""
    return f"question set {set_id}"


async def _add_answer(db: AsyncConnection, set_id: int, answer: Answer) -> None:
    unanswered = answer.kind == "no_answer"
    if unanswered or answer.citations:
        question = answer.standalone_question or answer.question
        question_id = await add_question(db, set_id, question, answerable=not unanswered)
        await judge_passages(db, question_id, [citation.passage for citation in answer.citations], 1)


def _sets() -> Any:
    asked = select(func.count()).where(_OF_SET)
    return select(
        *question_sets.c,
        asked.scalar_subquery().label("asked"),
        asked.where(_JUDGED).scalar_subquery().label("judged"),
        asked.where(~set_questions.c.answerable).scalar_subquery().label("unanswerable"),
        _RECORDS.scalar_subquery().label("records"),
        _RECORDS.where(~_RECORD_IS_THERE).scalar_subquery().label("missing"),
    ).where(_LIVING)


def _set(row: Row[Any], lost: int = 0) -> QuestionSet:
    return QuestionSet(
        id=row.id,
        name=row.name,
        description=row.description,
        created_at=row.created_at,
        question_count=row.asked,
        judged_count=row.judged,
        unanswerable_count=row.unanswerable,
        tag=tag_of(row.id) if row.own_corpus else "",
        record_count=row.records,
        missing_count=row.missing,
        lost_count=lost,
    )


def _question(row: Row[Any], judged: Mapping[int, tuple[Judgment, ...]]) -> SetQuestion:
    return SetQuestion(row.id, row.key, row.text, row.answerable, judged.get(row.id, ()))


async def _require(db: AsyncConnection, set_id: int) -> None:
    """Raises NotFound, and BadInput for a set that brought its documents along."""
    there = select(question_sets.c.own_corpus).where(question_sets.c.id == set_id, _LIVING)
    if (own_corpus := (await db.execute(there)).scalar()) is None:
        raise _no_set()
    if own_corpus:
        raise BadInput(
            "This set came with documents of its own; its questions are asked of those only.",
            hint="Make another set for questions about your documents.",
        )


async def _count(db: AsyncConnection, set_id: int) -> int:
    asked = select(func.count()).where(set_questions.c.set_id == set_id, _ASKED)
    return int((await db.execute(asked)).scalar_one())


async def _change(db: AsyncConnection, set_id: int, **values: object) -> None:
    changed = await db.execute(
        update(question_sets).where(question_sets.c.id == set_id, _LIVING).values(**values)
    )
    if not changed.rowcount:
        raise _no_set()


async def _lock_names(db: AsyncConnection) -> None:
    await db.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('question_sets', 0))"))


async def _names(db: AsyncConnection, but: int | None = None) -> set[str]:
    statement = select(question_sets.c.name).where(_LIVING)
    if but is not None:
        statement = statement.where(question_sets.c.id != but)
    return set((await db.execute(statement)).scalars())


def _free_name(name: str, taken: set[str]) -> str:
    free, number = name, 2
    while free in taken:
        free, number = f"{name} ({number})", number + 1
    return free


def _no_set() -> NotFound:
    return NotFound("There is no such question set.", hint="It may have been deleted.")


def _no_question() -> NotFound:
    return NotFound("There is no such question in the set.", hint="It may have been taken out.")
