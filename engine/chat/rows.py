"""Rows of sessions and turns as the values that stores give."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row

from engine.answering.model import Answer
from engine.chat.model import Session, Turn
from engine.documents.model import DocumentFilter

ANSWER = TypeAdapter(Answer)
FILTER = TypeAdapter(DocumentFilter)


def session_of(row: Any) -> Session:
    """A row of `sessions` with its `turn_count`."""
    return Session(
        row.id, row.title, row.turn_count, row.created_at, row.updated_at, shared=row.share is not None
    )


def turn_of(row: Row[Any]) -> Turn:
    """A row of `turns`."""
    return Turn(
        id=row.id,
        session_id=row.session_id,
        position=row.position,
        answer=ANSWER.validate_python(row.answer),
        mode=row.mode,
        filter=FILTER.validate_python(row.filter),
        created_at=row.created_at,
        vote=row.vote,
        reason=row.reason,
    )
