"""Old answers that stand on documents which their reader may no longer read, or never could."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select

from engine.access.principal import Access
from engine.answering.model import Answer
from engine.chat.model import Turn
from engine.retrieval.scope import readable
from engine.storage.database import Database
from engine.storage.tables import documents

HIDDEN = "This answer stands on documents that you may not read."


async def without_hidden(
    database: Database, access: Access, turns: Sequence[Turn], *, another: bool = False
) -> list[Turn]:
    """The turns; an answer made of a document that is hidden from whoever acts is left empty.

    another: the turns are somebody else's; then an answer made of one that is gone is hidden too.
    One query, and none without access control. Raises DatabaseUnavailable.
    """
    if access.restricted() is None:
        return list(turns)
    used = {turn.id: _documents(turn.answer) for turn in turns}
    asked = sorted(set().union(*used.values()))
    if not asked:
        return list(turns)
    statement = select(documents.c.id, readable(access).label("read")).where(documents.c.id.in_(asked))
    async with database.read() as db:
        known = {document_id: read for document_id, read in await db.execute(statement)}
    hidden = {i for i in asked if not known.get(i, not another)}
    return [replace(turn, answer=_empty(turn.answer)) if used[turn.id] & hidden else turn for turn in turns]


def _documents(answer: Answer) -> set[int]:
    return {c.passage.document_id for c in answer.citations} | {c.passage.document_id for c in answer.sources}


def _empty(answer: Answer) -> Answer:
    return replace(
        answer,
        standalone_question=answer.question,
        text=HIDDEN,
        kind="no_answer",
        citations=(),
        sources=(),
        confidence=0.0,
        receipt=replace(answer.receipt, phrasings=()),
        unsupported=(),
        notice="",
    )
