"""Documents from one collection into another."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.access.audit import named, note
from engine.access.principal import Access
from engine.documents.generation import bump_generation
from engine.errors import BadInput
from engine.storage.tables import documents


async def put_into(
    db: AsyncConnection, access: Access, which: ColumnElement[bool], collection_id: int
) -> Sequence[int]:
    """Move the documents of a condition, in this transaction; returns their ids.

    Raises BadInput where two files of the collection would have one name; deleted ones do not count.
    """
    name, living = documents.c.file_name, documents.c.deleted_at.is_(None)
    there = documents.alias()
    taken = exists().where(
        there.c.collection_id == collection_id,
        there.c.file_name == name,
        there.c.id != documents.c.id,
        there.c.deleted_at.is_(None),
    )
    twice = select(name).where(which, living).group_by(name).having(func.count() > 1)
    clash = (await db.execute(select(name).where(which, living, taken).union(twice))).scalar()
    if clash is not None:
        raise BadInput(
            f"That collection would have two files “{clash}”.", hint="Delete one of the two first."
        )
    changed = await db.execute(
        update(documents)
        .where(which)
        .values(collection_id=collection_id, updated_at=func.now())
        .returning(documents.c.id)
    )
    moved: Sequence[int] = changed.scalars().all()
    await bump_generation(db)
    await note(db, access, "move", named(moved), f"to collection {collection_id}")
    return moved
