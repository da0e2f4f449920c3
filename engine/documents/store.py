"""Reading and editing stored documents. All lists are filtered, sorted and cut by the database."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.access.audit import named, note
from engine.access.collections import check_collection, collection_names
from engine.access.principal import OPEN, Access
from engine.documents.generation import bump_generation
from engine.documents.model import STATUSES, Document, Metadata, Passage, Status
from engine.documents.moving import put_into
from engine.documents.paging import SORTS, Position, beyond, ordering
from engine.documents.queries import Change, DocumentList, DocumentQuery, Facets, OutlineEntry, Statistics
from engine.documents.rows import (
    LIVING_PASSAGES,
    METADATA,
    clean_tags,
    columns_of,
    document_of,
    select_passages,
)
from engine.errors import BadInput, NotFound
from engine.retrieval.scope import conditions, readable, search_form
from engine.storage.database import Database, fetch_rows
from engine.storage.tables import documents, file_chunks, headings, passages

_MANY = 100_000  # ids of one bulk change

# Only a newer version's passages need be looked through, by the index on their document.
_CHANGED_PASSAGES = text("""
    SELECT given.id, documents.id IS NULL AS gone
    FROM unnest(
        CAST(:ids AS integer[]), CAST(:documents AS integer[]),
        CAST(:versions AS integer[]), CAST(:hashes AS text[])
    ) AS given (id, document_id, version, content_hash)
    LEFT JOIN documents ON documents.id = given.document_id AND documents.deleted_at IS NULL
    WHERE documents.id IS NULL OR documents.version <> given.version AND NOT EXISTS (
        SELECT FROM passages
        WHERE passages.document_id = given.document_id AND passages.content_hash = given.content_hash
    )
""")


class DocumentStore:
    """Documents and their passages, without deleted ones unless said otherwise.

    What whoever acts may not read is not there for them. Raises NotAllowed for changes by readers.
    """

    def __init__(self, database: Database, access: Access = OPEN) -> None:
        self._database = database
        self._access = access

    async def list(self, query: DocumentQuery) -> DocumentList:
        """One page of documents and how many match in all."""
        where = conditions(query.filter, self._access)
        async with self._database.read() as db:
            rows = await db.execute(
                select(documents)
                .where(where)
                .order_by(*ordering(query))
                .offset(query.offset)
                .limit(query.limit)
            )
            found = tuple(document_of(row) for row in rows)
            total = (await db.execute(select(func.count()).select_from(documents).where(where))).scalar_one()
        return DocumentList(found, total)

    async def list_after(
        self, query: DocumentQuery, position: Position | None
    ) -> tuple[tuple[Document, ...], Position | None]:
        """The page behind a position, the first for None, and where the next one begins.

        `query.offset` counts for nothing. It costs the same however far the page is.
        """
        statement = (
            select(documents, SORTS[query.sort].label("sort_key"))
            .where(conditions(query.filter, self._access), beyond(query, position))
            .order_by(*ordering(query))
            .limit(query.limit + 1)
        )
        async with self._database.read() as db:
            rows = (await db.execute(statement)).all()
        found = rows[: query.limit]
        following = Position(found[-1].sort_key, found[-1].id) if len(rows) > len(found) else None
        return tuple(map(document_of, found)), following

    async def count(self) -> int:
        """How many documents there are."""
        living = self._living()
        async with self._database.read() as db:
            return int(
                (await db.execute(select(func.count()).select_from(documents).where(living))).scalar_one()
            )

    async def get(self, document_id: int) -> Document:
        """One document. Raises NotFound; a deleted one is not found."""
        async with self._database.read() as db:
            return await self._get(db, document_id)

    async def _get(self, db: AsyncConnection, document_id: int, *, lock: bool = False) -> Document:
        found = select(documents).where(documents.c.id == document_id, self._living())
        row = (await db.execute(found.with_for_update(key_share=True) if lock else found)).first()
        if row is None:
            raise NotFound(f"There is no document {document_id}.", hint="It may have been deleted.")
        return document_of(row)

    async def passages(self, document_id: int, offset: int = 0, limit: int = 50) -> tuple[Passage, ...]:
        """Passages in reading order."""
        statement = (
            select_passages()
            .where(passages.c.document_id == document_id, readable(self._access))
            .order_by(passages.c.position)
            .offset(offset)
            .limit(limit)
        )
        async with self._database.read() as db:
            return tuple(Passage(*row) for row in await db.execute(statement))

    async def neighbours(self, passage_id: int, around: int = 1) -> tuple[Passage, ...]:
        """A passage with `around` passages on either side, in reading order; empty if it is gone."""
        here = select(passages.c.document_id, passages.c.position).where(passages.c.id == passage_id).cte()
        statement = (
            select_passages()
            .join(here, here.c.document_id == passages.c.document_id)
            .where(
                passages.c.position.between(here.c.position - around, here.c.position + around),
                readable(self._access),
            )
            .order_by(passages.c.position)
        )
        async with self._database.read() as db:
            return tuple(Passage(*row) for row in await db.execute(statement))

    async def load_passages(self, db: AsyncConnection, ids: Sequence[int]) -> dict[int, Passage]:
        """Passages by id; those whose document is gone or deleted are left out."""
        if self._access.restricted() is None:
            rows = await fetch_rows(db, LIVING_PASSAGES, {"ids": list(ids)})
        else:
            statement = select_passages().where(passages.c.id.in_(ids), self._living())
            rows = (await db.execute(statement)).all()
        return {row.id: Passage(*row) for row in rows}

    async def changed_passages(self, given: Iterable[Passage]) -> dict[int, Change]:
        """Which passages, by id, are no longer as given: their document is gone, or says something else.

        A new version that still holds the very text is no change.
        """
        self._access.require("read")
        seen = {passage.id: passage for passage in given}
        if not seen:
            return {}
        columns = zip(
            *((p.id, p.document_id, p.document_version, p.content_hash) for p in seen.values()), strict=True
        )
        given_as = dict(zip(("ids", "documents", "versions", "hashes"), map(list, columns), strict=True))
        async with self._database.read() as db:
            rows = await db.execute(_CHANGED_PASSAGES, given_as)
            return {row.id: "gone" if row.gone else "changed" for row in rows}

    async def outline(self, document_id: int) -> tuple[OutlineEntry, ...]:
        """The headings in reading order, each with the position of the passage it stands in."""
        statement = (
            select(headings.c.heading, headings.c.level, headings.c.position, headings.c.page)
            .join(documents, documents.c.id == headings.c.document_id)
            .where(headings.c.document_id == document_id, readable(self._access))
            .order_by(headings.c.number)
        )
        async with self._database.read() as db:
            return tuple(OutlineEntry(*row) for row in await db.execute(statement))

    async def update(self, document_id: int, metadata: Metadata, was: Metadata | None = None) -> Document:
        """Set what a person may edit. Raises NotFound, or BadInput that names the field.

        was: what the edit began from. What it left so stays as it is by now: others may have edited it.
        """
        self._access.require("edit")
        given = columns_of(metadata)
        if not given["title"]:
            raise BadInput("A document needs a title.")
        if metadata.status not in STATUSES:
            raise BadInput(
                f"“{metadata.status}” is no status.", hint=f"Choose one of: {', '.join(STATUSES)}."
            )
        if metadata.superseded_by == document_id:
            raise BadInput("A document cannot supersede itself.")
        async with self._database.write() as db:
            document = await self._get(db, document_id, lock=True)
            now = columns_of(document.metadata)
            began = now if was is None else columns_of(was)
            changed = {n: given[n] for n in METADATA if given[n] not in (began[n], now[n])}
            if not changed:
                return document
            after = now | changed
            begins, ends = after["effective_on"], after["expires_on"]
            if begins and ends and ends < begins:
                raise BadInput("The document would expire before it takes effect.", hint="Check the dates.")
            if "superseded_by" in changed and metadata.superseded_by is not None:
                await self._get(db, metadata.superseded_by)
            row = await db.execute(
                update(documents)
                .where(documents.c.id == document_id)
                .values(
                    **changed,
                    edited=documents.c.edited.concat(list(changed)),
                    search_text=search_form(f"{after['title']} {document.file_name}"),
                    updated_at=func.now(),
                )
                .returning(documents)
            )
            await bump_generation(db)
            await note(db, self._access, "edit", named([document_id]), ", ".join(changed))
            return document_of(row.one())

    async def update_many(
        self,
        ids: Sequence[int],
        *,
        add_tags: Sequence[str] = (),
        remove_tags: Sequence[str] = (),
        status: Status | None = None,
    ) -> int:
        """Change tags or status of several documents at once; returns how many there were."""
        self._access.require("edit")
        if status is not None and status not in STATUSES:
            raise BadInput(f"“{status}” is no status.", hint=f"Choose one of: {', '.join(STATUSES)}.")
        add, remove = clean_tags(add_tags), set(clean_tags(remove_tags))
        async with self._database.write() as db:
            rows = await db.execute(
                select(documents.c.id, documents.c.tags, documents.c.edited)
                .where(documents.c.id.in_(ids[:_MANY]), self._living())
                .order_by(documents.c.id)
                .with_for_update()
            )
            found = rows.all()
            for document_id, tags, edited in found:
                values: dict[str, Any] = {"updated_at": func.now()}
                if add or remove:
                    values["tags"] = [t for t in dict.fromkeys([*tags, *add]) if t not in remove]
                if status:
                    values["status"] = status
                values["edited"] = sorted({*edited, *(values.keys() & set(METADATA))})
                await db.execute(update(documents).where(documents.c.id == document_id).values(**values))
            await bump_generation(db)
            await note(db, self._access, "edit", named(row.id for row in found), "tags or status")
            return len(found)

    async def delete(self, ids: Sequence[int]) -> int:
        """Hide documents from every list and search; `restore` brings them back for a while."""
        self._access.require("edit")
        async with self._database.write() as db:
            changed = await db.execute(
                update(documents)
                .where(documents.c.id.in_(ids[:_MANY]), self._living())
                .values(deleted_at=func.now())
                .returning(documents.c.id)
            )
            gone = changed.scalars().all()
            await bump_generation(db)
            await note(db, self._access, "delete", named(gone))
            return len(gone)

    async def restore(self, ids: Sequence[int]) -> int:
        """Undo `delete`. One whose file has been ingested again since, or is in `ids` too, stays deleted."""
        self._access.require("edit")
        again = documents.alias()
        taken = exists().where(
            again.c.collection_id == documents.c.collection_id,
            again.c.file_name == documents.c.file_name,
            or_(again.c.deleted_at.is_(None), and_(again.c.id.in_(ids[:_MANY]), again.c.id > documents.c.id)),
        )
        async with self._database.write() as db:
            changed = await db.execute(
                update(documents)
                .where(
                    documents.c.id.in_(ids[:_MANY]),
                    documents.c.deleted_at.is_not(None),
                    readable(self._access),
                    ~taken,
                )
                .values(deleted_at=None)
                .returning(documents.c.id)
            )
            back = changed.scalars().all()
            await bump_generation(db)
            await note(db, self._access, "restore", named(back))
            return len(back)

    async def move(self, ids: Sequence[int], collection_id: int) -> int:
        """Put documents into another collection; returns how many. Raises NotFound, BadInput."""
        self._access.require("edit")
        async with self._database.write() as db:
            await check_collection(db, self._access, collection_id)
            moving = and_(documents.c.id.in_(ids[:_MANY]), self._living())
            return len(await put_into(db, self._access, moving, collection_id))

    async def extent(self) -> tuple[int, int]:
        """How many documents there are, and passages in them."""
        counted = select(func.count(), func.coalesce(func.sum(documents.c.passage_count), 0))
        async with self._database.read() as db:
            count, passage_count = (await db.execute(counted.where(self._living()))).one()
        return count, int(passage_count)

    async def statistics(self) -> Statistics:
        """Counts for the top of the Documents page."""
        living = self._living()
        totals = select(
            func.count(),
            func.coalesce(func.sum(documents.c.passage_count), 0),
            func.coalesce(func.sum(documents.c.size_bytes), 0),
        ).where(living)
        async with self._database.read() as db:
            count, passage_count, size = (await db.execute(totals)).one()
            groups: list[dict[str, int]] = []
            for column in (documents.c.type, documents.c.language, documents.c.status):
                rows = await db.execute(
                    select(column, func.count()).where(living).group_by(column).order_by(func.count().desc())
                )
                groups.append({value: number for value, number in rows})
        return Statistics(count, int(passage_count), int(size), *groups)

    async def facets(self) -> Facets:
        """Values in use, the most frequent first."""
        living = self._living()
        tag = func.unnest(documents.c.tags).label("tag")
        async with self._database.read() as db:
            values: builtins.list[tuple[str, ...]] = []
            for column in (documents.c.type, documents.c.language, tag):
                grouped = select(column.label("value")).where(living).subquery()
                rows = await db.execute(
                    select(grouped.c.value)
                    .group_by(grouped.c.value)
                    .order_by(func.count().desc(), grouped.c.value)
                )
                values.append(tuple(value for (value,) in rows))
            own = await db.execute(collection_names(self._access)) if self._access.on else ()
            types, languages, tags = values
            return Facets(types, languages, tags, {number: name for number, name in own})

    async def file(self, document_id: int) -> bytes:
        """The file as it was ingested. Raises NotFound."""
        statement = (
            select(file_chunks.c.content)
            .where(file_chunks.c.document_id == document_id)
            .order_by(file_chunks.c.position)
        )
        async with self._database.read() as db:
            await self._get(db, document_id)
            return b"".join([bytes(content) for (content,) in await db.execute(statement)])

    async def download(self, document_id: int) -> bytes:
        """As `file`, for somebody who keeps it; recorded. Raises NotFound."""
        content = await self.file(document_id)
        if self._access.on:
            async with self._database.write() as db:
                await note(db, self._access, "download", named([document_id]))
        return content

    async def headings(self, limit: int) -> builtins.list[tuple[str, str, str]]:
        """(title, heading, language) from all over the corpus, for suggesting questions."""
        shuffled = func.md5(headings.c.heading)  # from all over a document, the same every time
        found = (
            select(
                documents.c.title,
                headings.c.heading,
                documents.c.language,
                func.row_number().over(partition_by=documents.c.id, order_by=shuffled).label("n"),
            )
            .join(documents, documents.c.id == headings.c.document_id)
            .where(self._living(), documents.c.status == "active")
            .subquery()
        )
        statement = (
            select(found.c.title, found.c.heading, found.c.language)
            .where(found.c.n <= 8)
            .order_by(found.c.n, func.md5(found.c.title))
            .limit(limit)
        )
        async with self._database.read() as db:
            return [(title, heading, language) for title, heading, language in await db.execute(statement)]

    def _living(self) -> ColumnElement[bool]:
        return and_(documents.c.deleted_at.is_(None), readable(self._access))
