"""Coming in: by password in a browser, through an identity provider, or with a REST key.

What a browser or program brings is random and kept only as its hash. A principal is looked up
again after some seconds: what an administrator takes away ends then at the latest.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

from cachetools import TTLCache
from sqlalchemy import Row, case, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.access.accounts import cleaned, principal_of
from engine.access.audit import note
from engine.access.passwords import Passwords
from engine.access.principal import Access, Principal, Role
from engine.access.provided import Provided, check_provided
from engine.access.tokens import hashed
from engine.errors import NotAllowed, NotSignedIn
from engine.storage.account_tables import accounts, api_keys, sign_ins
from engine.storage.database import Database

KNOWN_SECONDS = 5.0
KNOWN = 10_000
FAILURES = 5  # then it is locked, each time for twice as long
LOCK_SECONDS, LONGEST_LOCK_SECONDS = 30, 900

_LOCKED = func.coalesce(accounts.c.locked_until > func.now(), False)
WRONG = "This name and password do not go together, or there were too many tries."


class SignIns:
    """seconds: life of a browser's sign-in. provided_role: of who comes first through a provider.

    provided_to: e-mail addresses and domains let in through one; empty lets in all whom it sends.
    """

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        access: Access,
        *,
        seconds: float,
        provided_role: Role = "reader",
        provided_to: Sequence[str] = (),
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._access = access
        self._seconds = seconds
        self._provided_role = provided_role
        self._provided_to = provided_to
        self._known: TTLCache[str, Principal] = TTLCache(KNOWN, KNOWN_SECONDS)
        self._changes = 0

    async def sign_in(self, name: str, password: str) -> str:
        """A token for the browser to keep.

        Raises NotSignedIn, which says the same, and takes as long, whether there is such an
        account, whether it is locked or disabled, or only the password is wrong.
        """
        name = cleaned(name)
        async with self._database.read() as db:
            row = (await db.execute(select(accounts).where(accounts.c.name == name))).first()
        right = await self._passwords.right(password, row.password if row else None)
        async with self._database.write() as db:
            # As it is now, one at a time: of a thousand tries at once the sixth already finds it locked.
            now = select(accounts.c.password, accounts.c.disabled, _LOCKED.label("locked"))
            now = now.where(accounts.c.name == name).with_for_update()
            there = (await db.execute(now)).first()
            if (
                row is None
                or there is None
                or not right
                or there.password != row.password
                or there.locked
                or there.disabled
            ):
                await db.execute(_failed(name))
                who = principal_of(row) if row else Principal("", name[:100], "reader")
                await note(db, self._access, "sign in", done=False, who=who)
                token = ""
            else:
                token = await self._let_in(db, row)
        if not token:
            raise NotSignedIn(WRONG, hint="Wait a little, and try again.")
        return token

    async def sign_out(self, token: str) -> None:
        """End a browser's sign-in, in all its tabs."""
        async with self._database.write() as db:
            await db.execute(delete(sign_ins).where(sign_ins.c.token == hashed(token)))
        self.forget()

    async def of_browser(self, token: str) -> Principal:
        """Who brings this token. Raises NotSignedIn."""
        statement = (
            select(accounts)
            .join(sign_ins, sign_ins.c.account_id == accounts.c.id)
            .where(sign_ins.c.token == hashed(token), sign_ins.c.expires_at > func.now())
        )
        return await self._looked_up(f"browser {token}", statement, principal_of)

    async def of_key(self, key: str) -> Principal:
        """Whose REST key this is. Raises NotSignedIn."""
        ended = or_(api_keys.c.revoked_at.is_not(None), api_keys.c.expires_at <= func.now())
        statement = (
            select(accounts, api_keys.c.scopes, api_keys.c.id.label("key_id"))
            .join(api_keys, api_keys.c.account_id == accounts.c.id)
            .where(api_keys.c.token == hashed(key), func.coalesce(ended, False).is_(False))
        )
        return await self._looked_up(
            f"key {key}",
            statement,
            lambda row: principal_of(row, scopes=frozenset(row.scopes), key_id=row.key_id),
        )

    async def sign_in_provided(self, who: Provided) -> str:
        """A token for the browser of whom an identity provider sends; the first time an account is made.

        Raises NotAllowed for those whom this server does not let in.
        """
        try:
            check_provided(who, self._provided_to)
        except NotAllowed:
            async with self._database.write() as db:
                named = Principal("", (who.email or who.name)[:100], "reader")
                await note(db, self._access, "sign in", outcome="not in PROVIDED_TO", done=False, who=named)
            raise
        async with self._database.write() as db:
            row = await self._provided_account(db, who)
            if not row.disabled:
                return await self._let_in(db, row, "through a provider")
            await note(db, self._access, "sign in", "", "disabled", done=False, who=principal_of(row))
        raise NotAllowed(f"The account “{row.name}” is disabled.", hint="Ask an administrator to enable it.")

    async def _provided_account(self, db: AsyncConnection, who: Provided) -> Row[Any]:
        name = cleaned(who.name) or "user"
        mine = select(accounts).where(accounts.c.subject == who.subject)
        for wanted in (name, f"{name[:80]}-{uuid4().hex[:8]}"):  # the name may be another's
            if (known := (await db.execute(mine)).first()) is not None:
                return known
            await db.execute(
                insert(accounts)
                .values(id=uuid4().hex, name=wanted, subject=who.subject, role=self._provided_role)
                .on_conflict_do_nothing()
            )
        return (await db.execute(mine)).one()

    async def _let_in(self, db: AsyncConnection, row: Row[Any], how: str = "") -> str:
        """A new sign-in of an account, in this transaction."""
        token = secrets.token_urlsafe(32)
        await db.execute(
            update(accounts)
            .where(accounts.c.id == row.id)
            .values(failures=0, locked_until=None, signed_in_at=func.now())
        )
        ends = func.now() + timedelta(seconds=self._seconds)
        await db.execute(insert(sign_ins).values(token=hashed(token), account_id=row.id, expires_at=ends))
        await note(db, self._access, "sign in", outcome=how, who=principal_of(row))
        return token

    def forget(self) -> None:
        """Look everyone up again: an account, a key or a sign-in has changed, and that is committed.

        Who is being looked up at this moment may be told as before; that is not kept.
        """
        self._known.clear()
        self._changes += 1

    async def prune(self) -> None:
        """Remove sign-ins that have ended. Raises DatabaseUnavailable."""
        async with self._database.write() as db:
            await db.execute(delete(sign_ins).where(sign_ins.c.expires_at <= func.now()))

    async def _looked_up(self, key: str, statement: Any, made: Callable[[Row[Any]], Principal]) -> Principal:
        if (known := self._known.get(key)) is not None:
            return known
        changes = self._changes
        async with self._database.read() as db:
            row = (await db.execute(statement.where(accounts.c.disabled.is_(False)))).first()
        if row is None:
            raise NotSignedIn("Sign in first.", hint="The sign-in or the key may have ended.")
        principal = made(row)
        if changes == self._changes:
            self._known[key] = principal
        return principal


def _failed(name: str) -> Any:
    """Counts a wrong try; one during a lock does not make it longer."""
    failures = accounts.c.failures + 1
    wait = func.least(
        LONGEST_LOCK_SECONDS,
        LOCK_SECONDS * func.power(2, func.greatest(0, func.least(20, failures - FAILURES))),
    )
    locked = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, wait)
    return (
        update(accounts)
        .where(accounts.c.name == name, ~_LOCKED)
        .values(failures=failures, locked_until=case((failures >= FAILURES, locked), else_=None))
    )
