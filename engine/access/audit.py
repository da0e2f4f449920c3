"""The audit: who did what, when. Rows are added and never changed; a trigger refuses all else.

A change is recorded in the transaction that makes it: there is none without its record. What was
asked is not kept here, but of which documents the answer was made. Without access control there
is nobody to tell apart, and only operators' actions are recorded.
"""

from __future__ import annotations

import builtins
import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from datetime import datetime

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.access.principal import SYSTEM, Access, Principal
from engine.storage.database import Database
from engine.storage.tables import audit_events

SHORTEST_DAYS = 1
_MOST = 300  # characters of a subject
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet begins one with (OWASP, CSV injection)


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """done: False for what was tried and refused. via: a key, the command line, or a browser."""

    at: datetime
    who: str
    action: str
    subject: str
    done: bool
    outcome: str
    via: str


async def note(
    db: AsyncConnection,
    access: Access,
    action: str,
    subject: str = "",
    outcome: str = "",
    *,
    done: bool = True,
    who: Principal | None = None,
) -> None:
    """Record it in this transaction; who: instead of whoever acts. Nothing without access control."""
    if not access.on:
        return
    who = who or access.principal()
    await db.execute(
        insert(audit_events).values(
            who_id=who.id,
            who=who.name,
            action=action,
            subject=subject[:_MOST],
            done=done,
            outcome=outcome[:_MOST],
            via=_via(who),
        )
    )


def named(ids: Iterable[int]) -> str:
    """Documents by their numbers."""
    told = ", ".join(str(i) for i in sorted(set(ids)))
    return f"documents {told}" if told else "no documents"


def as_csv(events: Iterable[AuditEvent]) -> str:
    """A table with a head; what a spreadsheet would take for a formula is kept from being one."""
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow([field.name for field in fields(AuditEvent)])
    for event in events:
        values = [event.at.isoformat(), *(str(value) for value in astuple(event)[1:])]
        table.writerow([f"'{value}" if value.startswith(_FORMULA) else value for value in values])
    return out.getvalue()


class Audit:
    """To record what changes nothing, and to read; reading is an administrator's, and is recorded."""

    def __init__(self, database: Database, access: Access) -> None:
        self._database = database
        self._access = access

    async def record(self, action: str, subject: str = "", outcome: str = "", *, done: bool = True) -> None:
        """In a transaction of its own. Raises DatabaseUnavailable."""
        if self._access.on:
            async with self._database.write() as db:
                await note(db, self._access, action, subject, outcome, done=done)

    async def list(
        self,
        *,
        who: str = "",
        action: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 1000,
    ) -> builtins.list[AuditEvent]:
        """The latest first; until: not included."""
        self._access.require("administer")
        columns = audit_events.c
        statement = select(
            columns.at,
            columns.who,
            columns.action,
            columns.subject,
            columns.done,
            columns.outcome,
            columns.via,
        )
        if who:
            statement = statement.where(columns.who == who)
        if action:
            statement = statement.where(columns.action == action)
        if since:
            statement = statement.where(columns.at >= since)
        if until:
            statement = statement.where(columns.at < until)
        async with self._database.write() as db:
            rows = await db.execute(statement.order_by(columns.id.desc()).limit(limit))
            found = [AuditEvent(*row) for row in rows]
            await note(db, self._access, "read the audit", outcome=f"{len(found)} events")
        return found

    async def prune(self, days: int) -> int:
        """Remove what is older than so many days; 0 keeps all. Raises NotAllowed, DatabaseUnavailable."""
        self._access.require("administer")
        if days < SHORTEST_DAYS:
            return 0
        async with self._database.write() as db:
            await db.execute(
                text("SELECT set_config('dossier.audit_retention_days', :days, true)"), {"days": str(days)}
            )
            gone = await db.execute(
                delete(audit_events).where(audit_events.c.at < func.now() - func.make_interval(0, 0, 0, days))
            )
            return int(gone.rowcount)


def _via(who: Principal) -> str:
    if who.key_id is not None:
        return f"key {who.key_id}"
    return "command line" if who.id == SYSTEM.id else "browser"
