"""Collections: which documents an account reads. What is not in one of its own is not there for it.

Everybody, administrators too, reads the collections open to everyone and those of which they are
a member. Administrators decide who is one.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.access.accounts import account_id
from engine.access.audit import note
from engine.access.principal import Access, Principal
from engine.documents.moving import put_into
from engine.errors import BadInput, NotFound
from engine.storage.account_tables import accounts, collection_members, collections
from engine.storage.database import Database
from engine.storage.tables import documents

DEFAULT = 1  # open to everyone, unless an administrator closes it


@dataclass(frozen=True, slots=True)
class Collection:
    """everyone: whether it is open to all. members: names of accounts, for administrators only.

    deleted: documents that are hidden, and may be restored until they are purged.
    """

    id: int
    name: str
    everyone: bool
    documents: int
    members: tuple[str, ...] = ()
    deleted: int = 0


def readable_collections(principal: Principal) -> Select[Any]:
    """Ids of the collections that somebody reads."""
    member = exists().where(
        collection_members.c.collection_id == collections.c.id,
        collection_members.c.account_id == principal.id,
    )
    return select(collections.c.id).where(or_(collections.c.everyone, member))


async def readable_ids(db: AsyncConnection, access: Access) -> builtins.list[int] | None:
    """Ids of the collections that whoever acts reads, in order; None where they read everything."""
    if (principal := access.restricted()) is None:
        return None
    return sorted((await db.execute(readable_collections(principal))).scalars())


def collection_names(access: Access) -> Select[Any]:
    """Number and name of each collection that whoever acts reads, by name."""
    statement = select(collections.c.id, collections.c.name).order_by(collections.c.name)
    if (principal := access.restricted()) is not None:
        statement = statement.where(collections.c.id.in_(readable_collections(principal)))
    return statement


async def check_collection(db: AsyncConnection, access: Access, collection_id: int) -> None:
    """Raises NotFound for a collection that is not there, or not for whoever acts."""
    statement = select(collections.c.id).where(collections.c.id == collection_id)
    if (principal := access.restricted()) is not None:
        statement = statement.where(collections.c.id.in_(readable_collections(principal)))
    if (await db.execute(statement)).scalar() is None:
        raise _missing(collection_id)


class CollectionStore:
    """Raises NotFound for what is not there; for whoever is no administrator, also what is not theirs."""

    def __init__(self, database: Database, access: Access) -> None:
        self._database = database
        self._access = access

    async def mine(self) -> builtins.list[Collection]:
        """Those that whoever acts reads, by name."""
        principal = self._access.restricted()
        return await self._read(
            collections.c.id.in_(readable_collections(principal)) if principal else None, members=False
        )

    async def list(self) -> builtins.list[Collection]:
        """All of them with their members, by name; for administrators."""
        self._access.require("administer")
        return await self._read(None, members=True)

    async def create(self, name: str, *, everyone: bool = False, members: Iterable[str] = ()) -> int:
        """A new one, with these accounts as members; returns its id. Raises BadInput."""
        self._access.require("administer")
        statement = insert(collections).values(name=_name(name), everyone=everyone)
        async with self._database.write() as db:
            added = await db.execute(statement.on_conflict_do_nothing().returning(collections.c.id))
            made: int | None = added.scalar()
            if made is None:
                raise _named_already(name)
            await note(db, self._access, "create collection", _name(name), f"number {made}")
            await self._join(db, made, members)
        return made

    async def change(
        self,
        collection_id: int,
        *,
        name: str | None = None,
        everyone: bool | None = None,
        join: Iterable[str] = (),
        leave: Iterable[str] = (),
    ) -> None:
        """Another name, other readers: what is given, and all of it or nothing. Raises BadInput.

        join: accounts that read it, from their next question on. leave: that read it no more, old
        answers made of it included. everyone: whether all read it, or its members only.
        """
        self._access.require("administer")
        async with self._database.write() as db:
            await _locked(db, collection_id)
            if name is not None:
                await self._rename(db, collection_id, _name(name))
            if everyone is not None:
                await self._set(db, collection_id, everyone=everyone)
                told = "open to everyone" if everyone else "members only"
                await note(db, self._access, "change collection", str(collection_id), told)
            await self._leave(db, collection_id, leave)
            await self._join(db, collection_id, join)

    async def delete(self, collection_id: int, *, into: int | None = None) -> int:
        """Remove one, after all that it holds went into another; returns how many documents did.

        into: None for one that holds nothing. Deleted documents move too, as they may be restored.
        An administrator's, who need not read either. Raises BadInput, with nothing moved.
        """
        self._access.require("administer")
        holds = documents.c.collection_id == collection_id
        async with self._database.write() as db:
            await _locked(db, collection_id, *([] if into is None else [into]))
            if collection_id in (DEFAULT, into):
                raise BadInput(
                    "This collection cannot be removed.",
                    hint="The first one stays, and what another holds moves into a different one.",
                )
            moved = 0 if into is None else len(await put_into(db, self._access, holds, into))
            if (await db.execute(select(exists().where(holds)))).scalar():
                raise BadInput(
                    "This collection cannot be removed: it holds documents.",
                    hint="Say into which other one they move; those deleted are kept for a while.",
                )
            await db.execute(delete(collections).where(collections.c.id == collection_id))
            await note(db, self._access, "remove collection", str(collection_id))
        return moved

    async def _rename(self, db: AsyncConnection, collection_id: int, name: str) -> None:
        try:
            async with db.begin_nested():
                await self._set(db, collection_id, name=name)
        except IntegrityError as error:
            raise _named_already(name) from error
        await note(db, self._access, "change collection", str(collection_id), f"named {name}")

    async def _set(self, db: AsyncConnection, collection_id: int, **values: object) -> None:
        await db.execute(update(collections).where(collections.c.id == collection_id).values(**values))

    async def _join(self, db: AsyncConnection, collection_id: int, names: Iterable[str]) -> None:
        for name in names:
            values = {"collection_id": collection_id, "account_id": await account_id(db, name)}
            await db.execute(insert(collection_members).values(values).on_conflict_do_nothing())
            await note(db, self._access, "add member", name, f"collection {collection_id}")

    async def _leave(self, db: AsyncConnection, collection_id: int, names: Iterable[str]) -> None:
        for name in names:
            await db.execute(
                delete(collection_members).where(
                    collection_members.c.collection_id == collection_id,
                    collection_members.c.account_id == await account_id(db, name),
                )
            )
            await note(db, self._access, "remove member", name, f"collection {collection_id}")

    async def _read(self, where: ColumnElement[bool] | None, *, members: bool) -> builtins.list[Collection]:
        gone = documents.c.deleted_at.is_not(None)
        held, deleted = (
            select(func.count()).where(documents.c.collection_id == collections.c.id, which).scalar_subquery()
            for which in (~gone, gone)
        )
        names = (
            select(func.array_agg(accounts.c.name))
            .join(collection_members, collection_members.c.account_id == accounts.c.id)
            .where(collection_members.c.collection_id == collections.c.id)
            .scalar_subquery()
        )
        columns = (collections.c.id, collections.c.name, collections.c.everyone)
        statement = select(*columns, held, deleted, names).order_by(collections.c.name)
        if where is not None:
            statement = statement.where(where)
        async with self._database.read() as db:
            rows = (await db.execute(statement)).all()
        return [
            Collection(i, name, everyone, held, tuple(sorted(known or ())), gone)
            if members
            else Collection(i, name, everyone, held)
            for i, name, everyone, held, gone, known in rows
        ]


def _name(name: str) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= 100:
        raise BadInput("A collection's name has 1 to 100 characters.")
    return name


def _named_already(name: str) -> BadInput:
    return BadInput(f"There is a collection “{_name(name)}” already.")


async def _locked(db: AsyncConnection, *ids: int) -> None:
    """Keep collections as they are until the transaction ends: nothing comes in, nobody else changes them.

    Raises NotFound. In one order, so that two who lock some of the same do not wait for each other.
    """
    held = select(collections.c.id).where(collections.c.id.in_(ids)).order_by(collections.c.id)
    found = (await db.execute(held.with_for_update())).scalars().all()
    for collection_id in ids:
        if collection_id not in found:
            raise _missing(collection_id)


def _missing(collection_id: int) -> NotFound:
    return NotFound(f"There is no collection {collection_id}.")
