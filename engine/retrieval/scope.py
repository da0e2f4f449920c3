"""Which documents a search may see, and the corpus figures that it needs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, select, text, true
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.access.collections import readable_collections
from engine.access.principal import OPEN, Access, Principal
from engine.documents.model import DocumentFilter
from engine.storage.database import Database, fetch_rows
from engine.storage.fixed import Fixed
from engine.storage.tables import corpus, documents
from engine.text.normalisation import fold_diacritics


@dataclass(frozen=True, slots=True)
class Scope:
    """What one search sees, as of one generation of the corpus.

    include: ids of the documents allowed; None allows all but `exclude`.
    exclude: ids of documents deleted a moment ago, which are still in the indexes.
    included_passages: passages of the documents in `include`, 0 without it.
    passages, mean_length: of all that the asker reads; mean_length in terms.
    readable: ids of the documents that the asker reads, where there are others; terms are then
        counted in these alone, so that nothing hidden moves a score. collections: that hold them.
    asker: whose scope it is, with access control.
    """

    generation: int
    include: tuple[int, ...] | None
    exclude: tuple[int, ...]
    included_passages: int
    passages: int
    mean_length: float
    readable: tuple[int, ...] | None = None
    collections: tuple[int, ...] | None = None
    asker: str = ""

    @property
    def empty(self) -> bool:
        return self.passages == 0 or self.include == ()


def readable(access: Access) -> ColumnElement[bool]:
    """Documents that whoever acts may read, as a condition on `documents`."""
    principal = access.restricted()
    return true() if principal is None else documents.c.collection_id.in_(readable_collections(principal))


def conditions(filter: DocumentFilter, access: Access = OPEN) -> ColumnElement[bool]:
    """The filter as a condition on `documents`, deleted and unreadable ones left out."""
    clauses: list[ColumnElement[bool]] = [documents.c.deleted_at.is_(None), readable(access)]
    for column, values in (
        (documents.c.id, filter.document_ids),
        (documents.c.type, filter.types),
        (documents.c.language, filter.languages),
        (documents.c.status, filter.statuses),
        (documents.c.collection_id, filter.collection_ids),
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


_DELETED = select(func.array_agg(documents.c.id)).where(documents.c.deleted_at.is_not(None))
_WHOLE: Select[Any] = select(corpus, _DELETED.scalar_subquery().label("deleted"))
_WHOLE_FIXED = Fixed(_WHOLE)
_PASSAGE_LANGUAGES = Fixed(
    text(
        "SELECT p.id, d.language FROM passages p JOIN documents d ON d.id = p.document_id"
        " WHERE p.id = ANY(CAST(:ids AS int[]))"
    )
)
_LANGUAGES = Fixed(
    text(
        "SELECT DISTINCT language FROM documents WHERE deleted_at IS NULL"
        " AND (CAST(:chosen AS int[]) IS NULL OR id = ANY(CAST(:chosen AS int[])))"
    )
)


async def scope_of(database: Database, filter: DocumentFilter, access: Access = OPEN) -> Scope:
    """`resolve_scope` on a connection of its own; quick where the whole corpus is seen."""
    if filter or access.restricted() is not None:
        async with database.read() as db:
            return await resolve_scope(db, filter, access)
    (row,) = await database.fetch(_WHOLE_FIXED, {})
    return _scope(row, None, 0)


async def resolve_scope(db: AsyncConnection, filter: DocumentFilter, access: Access = OPEN) -> Scope:
    """Read the corpus figures and turn filter and rights into document ids, in one statement."""
    if (principal := access.restricted()) is not None:
        return await _resolve_for(db, filter, access, principal)
    statement = _WHOLE.add_columns(*_allowed(filter, access)) if filter else _WHOLE
    row = (await db.execute(statement)).one()
    include = tuple(row.allowed or ()) if filter else None
    return _scope(row, include, int(row.allowed_passages or 0) if filter else 0)


async def languages_of(database: Database, scope: Scope) -> frozenset[str]:
    """Of the documents that the scope holds."""
    chosen = None if scope.include is None else list(scope.include)
    rows = await database.fetch(_LANGUAGES, {"chosen": chosen})
    return frozenset(language for (language,) in rows)


async def passage_languages(db: AsyncConnection, ids: Collection[int]) -> dict[int, str]:
    """Of the documents of passages found, by the passage's id."""
    rows = await fetch_rows(db, _PASSAGE_LANGUAGES, {"ids": list(ids)})
    return {passage_id: language for passage_id, language in rows}


def _scope(row: Any, include: tuple[int, ...] | None, included_passages: int) -> Scope:
    """Of somebody who may read everything."""
    return Scope(
        generation=row.generation,
        include=include,
        exclude=() if include is not None else tuple(row.deleted or ()),
        included_passages=included_passages,
        passages=row.passage_count,
        mean_length=row.term_count / max(row.passage_count, 1),
    )


async def _resolve_for(
    db: AsyncConnection, filter: DocumentFilter, access: Access, principal: Principal
) -> Scope:
    """The same for somebody who may not read everything; whole again where nothing is hidden."""
    own = readable_collections(principal).cte("own")
    living = select(documents.c.id, documents.c.passage_count, documents.c.term_count).where(
        documents.c.deleted_at.is_(None), documents.c.collection_id.in_(select(own.c.id))
    )
    read = living.cte("read")
    hidden = exists().where(documents.c.collection_id.not_in(select(own.c.id)))
    statement = select(
        corpus,
        _DELETED.scalar_subquery().label("deleted"),
        select(hidden).scalar_subquery().label("hidden"),
        select(func.array_agg(own.c.id.distinct())).scalar_subquery().label("collections"),
        select(func.array_agg(read.c.id)).scalar_subquery().label("read"),
        select(func.sum(read.c.passage_count)).scalar_subquery().label("read_passages"),
        select(func.sum(read.c.term_count)).scalar_subquery().label("read_terms"),
    )
    if filter:
        statement = statement.add_columns(*_allowed(filter, access))
    row = (await db.execute(statement)).one()
    passages, terms = row.passage_count, row.term_count
    include = tuple(row.allowed or ()) if filter else None
    included = int(row.allowed_passages or 0) if filter else 0
    if row.hidden:
        passages, terms = int(row.read_passages or 0), int(row.read_terms or 0)
        if include is None:
            include, included = tuple(row.read or ()), passages
    return Scope(
        generation=row.generation,
        include=include,
        exclude=() if include is not None else tuple(row.deleted or ()),
        included_passages=included,
        passages=passages,
        mean_length=terms / max(passages, 1),
        readable=tuple(row.read or ()) if row.hidden else None,
        collections=tuple(sorted(row.collections or ())) if row.hidden else None,
        asker=principal.id,
    )


def _allowed(filter: DocumentFilter, access: Access) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """Ids of the documents that the filter leaves, and their passages."""
    allowed = (
        select(documents.c.id, documents.c.passage_count).where(conditions(filter, access)).cte("allowed")
    )
    return (
        select(func.array_agg(allowed.c.id)).scalar_subquery().label("allowed"),
        select(func.sum(allowed.c.passage_count)).scalar_subquery().label("allowed_passages"),
    )
