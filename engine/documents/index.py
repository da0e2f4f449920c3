"""Writing documents: everything that search and reading need, in one transaction each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import and_, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.access.audit import named, note
from engine.access.collections import DEFAULT, check_collection
from engine.access.principal import OPEN, Access
from engine.documents.generation import bump_generation
from engine.documents.model import Metadata, PassageDraft
from engine.documents.queries import OutlineEntry
from engine.errors import NotFound
from engine.retrieval.lexical import add_postings, remove_postings
from engine.retrieval.scope import search_form
from engine.retrieval.vector import VectorIndex
from engine.storage.database import Database, driver
from engine.storage.tables import documents, file_chunks, headings, passages

CHUNK_BYTES = 1_000_000

Outcome = Literal["done", "unchanged", "replaced"]


@dataclass(frozen=True, slots=True)
class IndexedPassage:
    """A passage with what the indexes need: its vector, packed token vectors and terms."""

    draft: PassageDraft
    vector: NDArray[np.float32]
    tokens: bytes | None
    terms: Sequence[str]


@dataclass(frozen=True, slots=True)
class PreparedDocument:
    """A file, read and embedded, ready to be stored."""

    file_name: str
    type: str
    content: bytes
    content_hash: str
    page_count: int | None
    metadata: Metadata
    passages: Sequence[IndexedPassage]
    outline: Sequence[OutlineEntry] = ()
    collection_id: int = DEFAULT
    indexed_title: str = ""  # where a person has given it another than the metadata's

    @property
    def title(self) -> str:
        """The one that its passages are indexed under."""
        return self.indexed_title or self.metadata.title


@dataclass(frozen=True, slots=True)
class Stored:
    """title_behind: a person has given it another title than it was prepared with."""

    document_id: int
    outcome: Outcome
    title_behind: bool = False


class DocumentIndex:
    """The one writer of documents, passages, postings and vectors."""

    def __init__(self, database: Database, vectors: VectorIndex, access: Access = OPEN) -> None:
        self._database = database
        self._access = access
        self._vectors = vectors

    async def check_collection(self, collection_id: int) -> None:
        """Raises NotFound for a collection that is not there, or not for whoever acts."""
        async with self._database.read() as db:
            await check_collection(db, self._access, collection_id)

    async def find_unchanged(self, file_name: str, content_hash: str, collection_id: int) -> int | None:
        """The id of the collection's document that already holds this content, whatever its name."""
        statement = (
            select(documents.c.id)
            .where(
                documents.c.content_hash == content_hash,
                documents.c.collection_id == collection_id,
                documents.c.deleted_at.is_(None),
            )
            .order_by((documents.c.file_name == file_name).desc(), documents.c.id)
        )
        async with self._database.read() as db:
            return (await db.execute(statement)).scalars().first()

    async def behind(self) -> list[int]:
        """Documents not indexed as they are now: another embedder did it, or a process died before it had
        indexed a new title.
        """
        renamed = select(documents.c.id).where(
            documents.c.deleted_at.is_(None), documents.c.title != documents.c.indexed_title
        )
        async with self._database.read() as db:
            missing = await self._vectors.documents_missing(db)
            return sorted({*missing, *(await db.execute(renamed)).scalars()})

    async def title_behind(self, document_id: int) -> bool:
        """Whether its passages are found by another title than it has."""
        renamed = documents.c.title != documents.c.indexed_title
        async with self._database.read() as db:
            found = await db.execute(select(renamed).where(documents.c.id == document_id))
            return bool(found.scalar())

    async def edited_title(self, file_name: str, collection_id: int) -> str | None:
        """The title that a person gave to the document of that file name, if any did."""
        statement = select(documents.c.title).where(
            documents.c.file_name == file_name,
            documents.c.collection_id == collection_id,
            documents.c.deleted_at.is_(None),
            documents.c.edited.contains(["title"]),
        )
        async with self._database.read() as db:
            return (await db.execute(statement)).scalar()

    async def store(self, prepared: PreparedDocument, *, again: int | None = None) -> Stored:
        """Store a document, or put a new version in the place of the one of that file name.

        again: the document that is indexed anew: its content and version stay, and where it has got another
        content or title since it was prepared, all stays, for whoever changed it has it indexed.
        What a person has edited is kept. Readers see the old version until the commit.
        Raises NotFound for one to be indexed anew that is gone.
        """
        this = documents.c.id == again
        if again is None:
            this = and_(
                documents.c.file_name == prepared.file_name,
                documents.c.collection_id == prepared.collection_id,
            )
        async with self._database.write() as db:
            await db.execute(text("SET LOCAL statement_timeout = 0"))
            await db.execute(
                text("SELECT pg_advisory_xact_lock(hashtextextended(:name, :collection))"),
                {"name": prepared.file_name, "collection": prepared.collection_id},
            )
            found = select(documents).where(this, documents.c.deleted_at.is_(None))
            # Edits wait until this is committed, or are seen.
            before = (await db.execute(found.with_for_update(key_share=True))).first()
            if again is not None and before is None:
                raise NotFound(f"There is no document {again}.", hint="It may have been deleted.")
            same = before is not None and before.content_hash == prepared.content_hash
            edited = before is not None and "title" in before.edited and before.title != prepared.title
            if before is not None and (same if again is None else edited or not same):
                return Stored(before.id, "unchanged")
            if before is None:
                document_id = await self._insert(db, prepared)
                removed = (0, 0)
            else:
                document_id = before.id
                removed = (before.passage_count, await self._empty(db, document_id))
                await self._update(
                    db, prepared, before.edited, before.version + (0 if same else 1), document_id
                )
            if not same:
                await self._store_file(db, document_id, prepared.content)
            await self._store_outline(db, document_id, prepared.outline)
            ids = await self._store_passages(db, document_id, prepared.passages)
            await self._vectors.add(
                db,
                document_id,
                ((i, p.vector, p.tokens) for i, p in zip(ids, prepared.passages, strict=True)),
            )
            # From here on the corpus row is locked: short, and last.
            await bump_generation(db, passage_count=len(ids) - removed[0], term_count=-removed[1])
            terms = await add_postings(
                db, document_id, [(i, p.terms) for i, p in zip(ids, prepared.passages, strict=True)]
            )
            await bump_generation(db, term_count=terms)
            await db.execute(update(documents).where(documents.c.id == document_id).values(term_count=terms))
            action = "upload" if again is None else "index anew"
            where = f"collection {prepared.collection_id}, {named([document_id])}"
            await note(db, self._access, action, prepared.file_name, where)
        outcome: Outcome = "replaced" if before is not None and again is None else "done"
        return Stored(document_id, outcome, title_behind=edited)

    async def purge(self, older_than_seconds: float) -> int:
        """Remove for good what was deleted longer ago than that; returns how many documents."""
        too_late = func.now() - timedelta(seconds=older_than_seconds)
        async with self._database.read() as db:
            ids = (
                (await db.execute(select(documents.c.id).where(documents.c.deleted_at <= too_late)))
                .scalars()
                .all()
            )
        purged = 0
        for document_id in ids:
            async with self._database.write() as db:
                await bump_generation(db)
                gone = await db.execute(
                    select(documents.c.passage_count)
                    .where(documents.c.id == document_id, documents.c.deleted_at <= too_late)
                    .with_for_update()
                )
                count = gone.scalar()
                if count is None:  # restored, or purged by another process
                    continue
                terms = await remove_postings(db, document_id)
                await db.execute(delete(documents).where(documents.c.id == document_id))
                await bump_generation(db, passage_count=-count, term_count=-terms)
                purged += 1
        return purged

    async def _insert(self, db: AsyncConnection, prepared: PreparedDocument) -> int:
        row = await db.execute(
            insert(documents)
            .values(
                file_name=prepared.file_name,
                collection_id=prepared.collection_id,
                version=1,
                **_described(prepared),
                **_metadata(prepared.metadata, edited=()),
                search_text=search_form(f"{prepared.metadata.title} {prepared.file_name}"),
            )
            .returning(documents.c.id)
        )
        return int(row.scalar_one())

    async def _update(
        self,
        db: AsyncConnection,
        prepared: PreparedDocument,
        edited: Sequence[str],
        version: int,
        document_id: int,
    ) -> None:
        guessed = _metadata(prepared.metadata, edited)
        await db.execute(
            update(documents)
            .where(documents.c.id == document_id)
            .values(version=version, **_described(prepared), **guessed, updated_at=func.now())
        )
        if "title" in guessed:
            await db.execute(
                update(documents)
                .where(documents.c.id == document_id)
                .values(search_text=search_form(f"{prepared.metadata.title} {prepared.file_name}"))
            )

    async def _empty(self, db: AsyncConnection, document_id: int) -> int:
        """Take the passages out; returns how many terms the lexical index lost."""
        await bump_generation(db)  # takes the lock that guards the terms table
        terms = await remove_postings(db, document_id)
        await db.execute(delete(passages).where(passages.c.document_id == document_id))
        return terms

    async def _store_file(self, db: AsyncConnection, document_id: int, content: bytes) -> None:
        await db.execute(delete(file_chunks).where(file_chunks.c.document_id == document_id))
        for position, start in enumerate(range(0, len(content), CHUNK_BYTES)):
            await db.execute(
                insert(file_chunks).values(
                    document_id=document_id, position=position, content=content[start : start + CHUNK_BYTES]
                )
            )

    async def _store_outline(
        self, db: AsyncConnection, document_id: int, outline: Sequence[OutlineEntry]
    ) -> None:
        await db.execute(delete(headings).where(headings.c.document_id == document_id))
        rows = [
            {"document_id": document_id, "number": number, **asdict(entry)}
            for number, entry in enumerate(outline)
        ]
        if rows:
            await db.execute(insert(headings), rows)

    async def _store_passages(
        self, db: AsyncConnection, document_id: int, given: Sequence[IndexedPassage]
    ) -> list[int]:
        reserved = await db.execute(
            text("SELECT nextval(pg_get_serial_sequence('passages', 'id')) FROM generate_series(1, :n)"),
            {"n": len(given)},
        )
        ids = [int(passage_id) for (passage_id,) in reserved]
        columns = [column.name for column in passages.columns]
        records = [
            (
                passage_id,
                document_id,
                p.draft.position,
                p.draft.text,
                p.draft.heading,
                p.draft.context,
                p.draft.page,
                p.draft.last_page,
                p.draft.start,
                p.draft.end,
                hashlib.sha256(p.draft.text.encode()).hexdigest(),
            )
            for passage_id, p in zip(ids, given, strict=True)
        ]
        await (await driver(db)).copy_records_to_table("passages", records=records, columns=columns)
        return ids


def _described(prepared: PreparedDocument) -> dict[str, object]:
    return {
        "type": prepared.type,
        "content_hash": prepared.content_hash,
        "size_bytes": len(prepared.content),
        "page_count": prepared.page_count,
        "passage_count": len(prepared.passages),
        "indexed_title": prepared.title,
    }


def _metadata(metadata: Metadata, edited: Sequence[str]) -> dict[str, object]:
    values = asdict(metadata) | {"tags": list(metadata.tags)}
    return {name: value for name, value in values.items() if name not in edited}
