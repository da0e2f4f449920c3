"""Collections: which documents an account reads. What is not in one of its own is not there for it.

Everybody, administrators too, reads the collections open to everyone and those of which they are
a member. Administrators decide who is one.
"""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.access.accounts import account_id
from engine.access.audit import note
from engine.access.principal import OPEN, Access, Principal
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
        raise NotFound(f"There is no collection {collection_id}.")


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

    async def create(self, name: str, *, everyone: bool = False) -> int:
        """A new one, without members; returns its id. Raises BadInput."""
        self._access.require("administer")
        statement = insert(collections).values(name=_name(name), everyone=everyone)
        async with self._database.write() as db:
            added = await db.execute(statement.on_conflict_do_nothing().returning(collections.c.id))
            made = added.scalar()
            if made is not None:
                await note(db, self._access, "create collection", _name(name), f"number {made}")
        if made is None:
            raise _named_already(name)
        return int(made)

    async def rename(self, collection_id: int, name: str) -> None:
        """Give it another name. Raises BadInput."""
        self._access.require("administer")
        other = exists().where(collections.c.name == _name(name), collections.c.id != collection_id)
        async with self._database.write() as db:
            await _there(db, collection_id)
            await db.execute(select(collections.c.id).with_for_update())  # one renaming at a time
            if (await db.execute(select(other))).scalar():
                raise _named_already(name)
            await db.execute(
                update(collections).where(collections.c.id == collection_id).values(name=_name(name))
            )
            await note(db, self._access, "change collection", str(collection_id), f"named {_name(name)}")

    async def open_to_everyone(self, collection_id: int, everyone: bool) -> None:
        """Let all read it, or its members only."""
        self._access.require("administer")
        async with self._database.write() as db:
            await _there(db, collection_id)
            await db.execute(
                update(collections).where(collections.c.id == collection_id).values(everyone=everyone)
            )
            told = "open to everyone" if everyone else "members only"
            await note(db, self._access, "change collection", str(collection_id), told)

    async def add_member(self, collection_id: int, account: str) -> None:
        """Let an account read it, from its next question on."""
        self._access.require("administer")
        async with self._database.write() as db:
            await _there(db, collection_id)
            values = {"collection_id": collection_id, "account_id": await account_id(db, account)}
            await db.execute(insert(collection_members).values(values).on_conflict_do_nothing())
            await note(db, self._access, "add member", account, f"collection {collection_id}")

    async def remove_member(self, collection_id: int, account: str) -> None:
        """An account reads it no more, old answers made of it included."""
        self._access.require("administer")
        async with self._database.write() as db:
            await _there(db, collection_id)
            await db.execute(
                delete(collection_members).where(
                    collection_members.c.collection_id == collection_id,
                    collection_members.c.account_id == await account_id(db, account),
                )
            )
            await note(db, self._access, "remove member", account, f"collection {collection_id}")

    async def delete(self, collection_id: int) -> None:
        """Remove one that holds nothing. Raises BadInput for one that does, deleted documents included."""
        self._access.require("administer")
        holds = exists().where(documents.c.collection_id == collection_id)
        async with self._database.write() as db:
            await _there(db, collection_id)
            which = (collections.c.id == collection_id, ~holds, collections.c.id != DEFAULT)
            gone = await db.execute(delete(collections).where(*which))
            if gone.rowcount:
                await note(db, self._access, "remove collection", str(collection_id))
        if not gone.rowcount:
            raise BadInput(
                "This collection cannot be removed.",
                hint="Move its documents first; those deleted are kept for a while. The first one stays.",
            )

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


async def _there(db: AsyncConnection, collection_id: int) -> None:
    """An administrator's look, who sees all of them."""
    await check_collection(db, OPEN, collection_id)
