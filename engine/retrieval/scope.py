"""Which documents a search may see, and the corpus figures that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.documents.model import DocumentFilter
from engine.storage.tables import corpus, documents
from engine.text.normalisation import fold_diacritics


@dataclass(frozen=True, slots=True)
class Scope:
    """What one search sees, as of one generation of the corpus.

    include: ids of the documents allowed; None allows all but `exclude`.
    exclude: ids of documents deleted a moment ago, which are still in the indexes.
    included_passages: passages of the documents in `include`, 0 without it.
    passages, mean_length: of the whole corpus; mean_length in terms.
    """

    generation: int
    include: tuple[int, ...] | None
    exclude: tuple[int, ...]
    included_passages: int
    passages: int
    mean_length: float

    @property
    def empty(self) -> bool:
        return self.passages == 0 or self.include == ()


def conditions(filter: DocumentFilter) -> ColumnElement[bool]:
    """The filter as a condition on `documents`, deleted ones left out."""
    clauses: list[ColumnElement[bool]] = [documents.c.deleted_at.is_(None)]
    for column, values in (
        (documents.c.id, filter.document_ids),
        (documents.c.type, filter.types),
        (documents.c.language, filter.languages),
        (documents.c.status, filter.statuses),
    ):
        if values:
            clauses.append(column.in_(values))
    if filter.tags:
        clauses.append(documents.c.tags.overlap(list(filter.tags)))
    if filter.published_from:
        clauses.append(documents.c.published_on >= filter.published_from)
    if filter.published_to:
        clauses.append(documents.c.published_on <= filter.published_to)
    for word in search_form(filter.text).split():
        clauses.append(documents.c.search_text.contains(word, autoescape=True))
    return and_(*clauses)


def search_form(text: str) -> str:
    """Text as `documents.search_text` holds it: lower case, without diacritics."""
    return fold_diacritics(text).casefold()


async def resolve_scope(db: AsyncConnection, filter: DocumentFilter) -> Scope:
    """Read the corpus figures and turn the filter into document ids, in one statement."""
    deleted = select(func.array_agg(documents.c.id)).where(documents.c.deleted_at.is_not(None))
    statement: Select[Any] = select(corpus, deleted.scalar_subquery().label("deleted"))
    if filter:
        allowed = select(documents.c.id, documents.c.passage_count).where(conditions(filter)).cte("allowed")
        statement = statement.add_columns(
            select(func.array_agg(allowed.c.id)).scalar_subquery().label("allowed"),
            select(func.sum(allowed.c.passage_count)).scalar_subquery().label("allowed_passages"),
        )
    row = (await db.execute(statement)).one()
    return Scope(
        generation=row.generation,
        include=tuple(row.allowed or ()) if filter else None,
        exclude=() if filter else tuple(row.deleted or ()),
        included_passages=int(row.allowed_passages or 0) if filter else 0,
        passages=row.passage_count,
        mean_length=row.term_count / max(row.passage_count, 1),
    )
