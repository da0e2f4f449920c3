"""Lists of documents page by page: each begins after the last row of the one before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, or_, true

from engine.documents.queries import DocumentQuery
from engine.storage.tables import documents

SortKey = str | int | date | datetime | None

SORTS: dict[str, ColumnElement[Any]] = {
    "title": func.lower(documents.c.title),
    "type": documents.c.type,
    "status": documents.c.status,
    "language": documents.c.language,
    "passages": documents.c.passage_count,
    "size": documents.c.size_bytes,
    "published": documents.c.published_on,
    "updated": documents.c.updated_at,
}


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a sorted list: what the row there is sorted by, and its id."""

    key: SortKey
    id: int


def ordering(query: DocumentQuery) -> tuple[ColumnElement[Any], ...]:
    """Rows without a value come last; equal ones by their id."""
    key = SORTS[query.sort]
    return (key.desc() if query.descending else key.asc()).nulls_last(), documents.c.id


def beyond(query: DocumentQuery, position: Position | None) -> ColumnElement[bool]:
    """Rows behind a place in that order. A row that came or went meanwhile moves no other."""
    if position is None:
        return true()
    key = SORTS[query.sort]
    if position.key is None:
        return and_(key.is_(None), documents.c.id > position.id)
    further = key < position.key if query.descending else key > position.key
    nothing = key.is_(None) if query.sort == "published" else false()
    return or_(further, and_(key == position.key, documents.c.id > position.id), nothing)
