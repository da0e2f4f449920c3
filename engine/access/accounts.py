"""Accounts: people and programs that may come in, by password or through an identity provider."""

from __future__ import annotations

import builtins
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.access.audit import note
from engine.access.passwords import Passwords
from engine.access.principal import ROLES, Access, Principal, Role
from engine.errors import BadInput, NotFound
from engine.storage.account_tables import accounts, api_keys, sign_ins
from engine.storage.database import Database

_NAME = re.compile(r"[^\s/\\\x00-\x1f]{1,100}")


@dataclass(frozen=True, slots=True)
class Account:
    """name: in lower case. password: whether it has one. provided: whether an identity provider sent it."""

    id: str
    name: str
    role: Role
    password: bool
    disabled: bool
    created_at: datetime
    signed_in_at: datetime | None
    provided: bool = False


class AccountStore:
    """Every method is an administrator's. Raises NotFound for unknown names.

    changed: told when an account may do more or less than before.
    """

    def __init__(
        self, database: Database, access: Access, passwords: Passwords, changed: Callable[[], None]
    ) -> None:
        self._database = database
        self._access = access
        self._passwords = passwords
        self._changed = changed

    async def add(self, name: str, role: Role, password: str | None = None) -> Account:
        """A new account; without a password it comes by keys only. Raises BadInput."""
        self._access.require("administer")
        name, role = account_name(name), _role(role)
        hashed = None if password is None else await self._passwords.hash(password)
        statement = insert(accounts).values(id=uuid4().hex, name=name, role=role, password=hashed)
        async with self._database.write() as db:
            added = await db.execute(statement.on_conflict_do_nothing().returning(accounts))
            row = added.first()
            if row is not None:
                await note(db, self._access, "add account", name, role)
        if row is None:
            raise BadInput(f"There is an account “{name}” already.")
        return _account(row)

    async def list(self) -> builtins.list[Account]:
        """All of them, by name."""
        self._access.require("administer")
        async with self._database.read() as db:
            rows = await db.execute(select(accounts).order_by(accounts.c.name))
            return [_account(row) for row in rows]

    async def set_role(self, name: str, role: Role) -> Account:
        """Give it another role, from the next thing it does on."""
        return await self._change(name, role=_role(role))

    async def set_password(self, name: str, password: str) -> Account:
        """Give it another password, end its sign-ins and its lock. Raises BadInput."""
        self._access.require("administer")
        hashed = await self._passwords.hash(password)
        return await self._change(name, ends=True, password=hashed, failures=0, locked_until=None)

    async def disable(self, name: str) -> Account:
        """Let it in no more: its sign-ins end and its keys are revoked; what it owns stays."""
        return await self._change(name, ends=True, disabled=True)

    async def enable(self, name: str) -> Account:
        """Let it in again; it needs new keys."""
        return await self._change(name, disabled=False, failures=0, locked_until=None)

    async def _change(self, name: str, *, ends: bool = False, **values: object) -> Account:
        self._access.require("administer")
        async with self._database.write() as db:
            statement = update(accounts).where(accounts.c.name == account_name(name)).values(**values)
            row = (await db.execute(statement.returning(accounts))).first()
            if row is None:
                raise NotFound(f"There is no account “{name}”.")
            told = "another password" if "password" in values else ", ".join(map(str, values.values()))
            what = "disable" if row.disabled and ends else "change"
            await note(db, self._access, f"{what} account", row.name, told)
            if ends:
                await db.execute(delete(sign_ins).where(sign_ins.c.account_id == row.id))
            if row.disabled:
                await db.execute(
                    update(api_keys)
                    .where(api_keys.c.account_id == row.id, api_keys.c.revoked_at.is_(None))
                    .values(revoked_at=func.now())
                )
        self._changed()
        return _account(row)


async def account_id(db: AsyncConnection, name: str) -> str:
    """The id of the account of that name. Raises NotFound."""
    found = await db.execute(select(accounts.c.id).where(accounts.c.name == account_name(name)))
    if (known := found.scalar()) is None:
        raise NotFound(f"There is no account “{name}”.")
    return str(known)


def account_name(name: str) -> str:
    """A name as accounts have it. Raises BadInput."""
    name = cleaned(name)
    if not _NAME.fullmatch(name):
        raise BadInput("An account's name has 1 to 100 characters, without spaces and slashes.")
    return name


def principal_of(row: Row[Any], **narrowed: Any) -> Principal:
    """Who an account's row is, once it has shown that it is that account."""
    return Principal(row.id, row.name, row.role, **narrowed)


def cleaned(name: str) -> str:
    """A name from elsewhere, as near to an account's as it gets; may be empty."""
    return re.sub(r"[\s/\\]+", "-", unicodedata.normalize("NFKC", name).strip()).casefold()[:100]


def _role(role: str) -> Role:
    if role not in ROLES:
        raise BadInput(f"There is no role “{role}”.", hint=f"Choose one of: {', '.join(ROLES)}.")
    return role


def _account(row: Row[Any]) -> Account:
    return Account(
        row.id,
        row.name,
        row.role,
        row.password is not None,
        row.disabled,
        row.created_at,
        row.signed_in_at,
        row.subject is not None,
    )
