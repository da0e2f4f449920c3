"""REST keys: each acts for an account, narrowed to scopes, until it expires or is revoked."""

from __future__ import annotations

import builtins
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, insert, select, update

from engine.access.accounts import account_id
from engine.access.audit import note
from engine.access.principal import PERMISSIONS, Access, Permission
from engine.access.tokens import hashed
from engine.errors import BadInput, NotFound
from engine.storage.account_tables import accounts, api_keys
from engine.storage.database import Database

PREFIX = "dossier_"


@dataclass(frozen=True, slots=True)
class Key:
    """account: the name of whom it acts for. name: what it is for. expires_at: None is never."""

    id: int
    account: str
    name: str
    scopes: tuple[Permission, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class KeyStore:
    """An administrator's. changed: told of what must be looked up again."""

    def __init__(self, database: Database, access: Access, changed: Callable[[], None]) -> None:
        self._database = database
        self._access = access
        self._changed = changed

    async def create(
        self, account: str, name: str, scopes: Sequence[str] = ("read",), days: float | None = 90
    ) -> str:
        """The key itself: nobody can see it again. Raises NotFound (the account), BadInput."""
        self._access.require("administer")
        if unknown := [scope for scope in scopes if scope not in PERMISSIONS]:
            raise BadInput(
                f"There is no scope “{unknown[0]}”.", hint=f"Choose from: {', '.join(PERMISSIONS)}."
            )
        if not scopes or (days is not None and not 0 < days <= 3650):
            raise BadInput("A key needs a scope, and ends after 1 to 3,650 days or never.")
        key = PREFIX + secrets.token_urlsafe(32)
        async with self._database.write() as db:
            await db.execute(
                insert(api_keys).values(
                    token=hashed(key),
                    account_id=await account_id(db, account),
                    name=name.strip()[:100],
                    scopes=list(dict.fromkeys(scopes)),
                    expires_at=None if days is None else func.now() + timedelta(days=days),
                )
            )
            await note(db, self._access, "create key", account, f"{', '.join(scopes)}: {name}")
        return key

    async def list(self) -> builtins.list[Key]:
        """All of them, the latest first."""
        self._access.require("administer")
        columns = api_keys.c
        statement = (
            select(
                columns.id,
                accounts.c.name,
                columns.name,
                columns.scopes,
                columns.created_at,
                columns.expires_at,
                columns.revoked_at,
            )
            .join(accounts, accounts.c.id == columns.account_id)
            .order_by(columns.id.desc())
        )
        async with self._database.read() as db:
            return [
                Key(i, account, name, tuple(scopes), *times)
                for i, account, name, scopes, *times in await db.execute(statement)
            ]

    async def revoke(self, key_id: int) -> None:
        """End a key. Raises NotFound."""
        self._access.require("administer")
        async with self._database.write() as db:
            changed = await db.execute(
                update(api_keys)
                .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
                .values(revoked_at=func.now())
            )
            if changed.rowcount:
                await note(db, self._access, "revoke key", str(key_id))
        if not changed.rowcount:
            raise NotFound(f"There is no key {key_id} that could be revoked.")
        self._changed()
