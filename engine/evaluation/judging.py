"""Questions of a set and what is judged of them, within a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Integer,
    and_,
    any_,
    delete,
    exists,
    insert,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.access.principal import OPEN, Access
from engine.documents.model import Passage
from engine.errors import BadInput
from engine.evaluation.model import Judgment
from engine.retrieval.scope import readable
from engine.storage.tables import documents, judgments, passages, question_sets, set_questions, set_records
from engine.text.normalisation import normalise_question


async def add_question(db: AsyncConnection, set_id: int, question: str, *, answerable: bool) -> int:
    """The id of the set's question of that text, added if it was not there. Raises BadInput for none."""
    asked = normalise_question(question)
    if not any(character.isalnum() for character in asked):
        raise BadInput("There is no question in this.", hint="Ask in words.")
    # Two tabs that judge at once meet here.
    await db.execute(select(question_sets.c.id).where(question_sets.c.id == set_id).with_for_update())
    there = await db.execute(
        select(set_questions.c.id)
        .where(set_questions.c.set_id == set_id, set_questions.c.text == asked)
        .order_by(set_questions.c.deleted_at.is_not(None), set_questions.c.id)
    )
    question_id = there.scalars().first()
    if question_id is not None:
        await db.execute(
            update(set_questions)
            .where(set_questions.c.id == question_id)
            .values(answerable=answerable, deleted_at=None)
        )
        return int(question_id)
    values = {"set_id": set_id, "text": asked, "answerable": answerable, "key": f"q-{uuid4().hex[:12]}"}
    added = await db.execute(insert(set_questions).values(values).returning(set_questions.c.id))
    return int(added.scalar_one())


async def judge_passages(
    db: AsyncConnection, question_id: int, given: Sequence[Passage], gain: int | None
) -> None:
    """Judge stored passages for a question; one whose document is gone is left out."""
    hashes = {passage.content_hash for passage in given}
    if gain is None:
        await db.execute(
            delete(judgments).where(
                judgments.c.question_id == question_id, judgments.c.content_hash.in_(hashes)
            )
        )
        return
    names = await file_names(db, {passage.document_id for passage in given})
    for passage in given:
        if (name := names.get(passage.document_id)) is None:
            continue
        values = {
            "question_id": question_id,
            "file_name": name,
            "content_hash": passage.content_hash,
            "gain": gain,
            "title": passage.document_title,
            "text": passage.text,
        }
        await db.execute(
            upsert(judgments).values(values).on_conflict_do_update(constraint="judgments_pkey", set_=values)
        )


async def load_judgments(
    db: AsyncConnection, ids: Sequence[int], access: Access = OPEN
) -> dict[int, tuple[Judgment, ...]]:
    """By question id; without those of documents that whoever acts may not read."""
    found: dict[int, list[Judgment]] = {}
    statement = (
        select(judgments)
        .where(judgments.c.question_id == any_(literal([*ids], ARRAY(Integer))), _shown(access))
        .order_by(judgments.c.gain.desc(), judgments.c.file_name)
    )
    for row in await db.execute(statement):
        of = found.setdefault(row.question_id, [])
        of.append(Judgment(row.file_name, row.content_hash, row.gain, row.title, row.text))
    return {question: tuple(given) for question, given in found.items()}


def _shown(access: Access) -> ColumnElement[bool]:
    """Of what they read, of what a set brought along, or of a name in its files that nothing here has."""
    if access.restricted() is None:
        return true()
    of_document = passages.c.document_id == documents.c.id
    says_it = exists().where(of_document, passages.c.content_hash == judgments.c.content_hash)
    whole = judgments.c.content_hash == ""
    named = and_(documents.c.file_name == judgments.c.file_name, documents.c.deleted_at.is_(None))
    return or_(
        exists().where(named, readable(access), or_(whole, says_it.correlate(documents, judgments))),
        exists().where(set_records.c.file_name == judgments.c.file_name),
        and_(whole, judgments.c.title == "", judgments.c.text == ""),
    )


async def file_names(db: AsyncConnection, ids: set[int]) -> dict[int, str]:
    """Of the documents that are there, by id."""
    statement = select(documents.c.id, documents.c.file_name).where(
        documents.c.id.in_(ids), documents.c.deleted_at.is_(None)
    )
    return {document_id: name for document_id, name in await db.execute(statement)}
