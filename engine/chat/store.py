"""Sessions and turns in PostgreSQL."""

from __future__ import annotations

import builtins
import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from cachetools import TTLCache
from sqlalchemy import (
    ColumnElement,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.access.audit import note
from engine.access.principal import OPEN, Access
from engine.access.tokens import hashed
from engine.answering.base import Exchange
from engine.answering.model import Answer, Mode
from engine.chat.export import as_markdown
from engine.chat.hidden import without_hidden
from engine.chat.hot_copy import HotCopy, NoHotCopy
from engine.chat.model import Session, Turn, Vote
from engine.chat.rows import ANSWER, FILTER, session_of, turn_of
from engine.chat.statements import (
    NEXT_VERSION,
    TURN_COUNT,
    added_turn,
    kept_turn,
    latest_turns,
    listed_sessions,
    locked_session,
    new_session,
    one_session,
    present_version,
    session_turns,
    turns_where,
)
from engine.documents.model import DocumentFilter
from engine.errors import BadInput, NotFound
from engine.storage.database import Database, Unsettled, fetch_within
from engine.storage.tables import sessions, turns
from engine.text.normalisation import normalise, normalise_question

TITLE_LENGTH = 80
OPENED, OPENED_SECONDS = 10_000, 3600.0
_ANY_TURN = 2**63 - 1  # no id comes after it


# Told what was made, inside the transaction that makes it.
Also = Callable[[AsyncConnection, str], Awaitable[None]]


class SessionStore:
    """Every method raises NotFound for a session or turn that is not there, or is another's.

    hot: the copy of the latest turns from which `turns` is served where it can be.
    """

    def __init__(
        self, database: Database, hot: HotCopy | NoHotCopy | None = None, access: Access = OPEN
    ) -> None:
        self._database = database
        self._access = access
        self.hot = hot or NoHotCopy()
        # Who read which shared session lately: a page that is drawn again is not recorded again.
        self._opened: TTLCache[tuple[str, UUID], bool] = TTLCache(OPENED, OPENED_SECONDS)

    async def create(self, title: str = "", *, also: Also | None = None) -> Session:
        """A new, empty session. Without a title, its first question becomes it. also: see `add_turn`."""
        given = {"session": uuid4(), "named": _title(title), "owner": self._access.require("read").id}
        try:
            made = await self._database.change(new_session(), given) if also is None else ()
        except Unsettled:
            made = ()
        if not made:
            async with self._database.write() as db:
                made = (await db.execute(new_session().statement, given)).all()
                if also is not None:
                    await also(db, str(given["session"]))
        return session_of(made[0])

    async def get(self, session_id: UUID) -> Session:
        """One session."""
        mine, whose = self._whose(session_id)
        found = await self._database.fetch(one_session(mine), whose)
        if not found:
            raise _no_session()
        return session_of(found[0])

    async def list(
        self, search: str = "", limit: int = 50, offset: int = 0, *, empty_too: bool = False
    ) -> builtins.list[Session]:
        """Sessions with turns, the latest first; `search` looks into titles, questions and answers."""
        mine, whose = self._whose()
        statement, given = listed_sessions(mine, empty_too), {**whose, "latest": limit, "offset": offset}
        if not (search := normalise(search)):
            return [session_of(row) for row in await self._database.fetch(statement, given)]
        inside = exists().where(
            turns.c.session_id == sessions.c.id,
            or_(
                turns.c.question.icontains(search, autoescape=True),
                turns.c.answer_text.icontains(search, autoescape=True),
            ),
        )
        matching = or_(sessions.c.title.icontains(search, autoescape=True), inside)
        async with self._database.read() as db:
            return [session_of(row) for row in await db.execute(statement.statement.where(matching), given)]

    async def rename(self, session_id: UUID, title: str) -> None:
        """Give it another title. Raises BadInput for an empty one."""
        if not _title(title):
            raise BadInput("A session needs a title.")
        await self._change("rename", self._living(session_id), title=_title(title))

    async def delete(self, session_id: UUID) -> None:
        """Hide it; `restore` brings it back until it is purged."""
        await self._change("delete", self._living(session_id), deleted_at=func.now(), version=NEXT_VERSION)

    async def restore(self, session_id: UUID) -> None:
        """Undo `delete`."""
        mine = and_(sessions.c.id == session_id, self._own())
        await self._change("restore", mine, deleted_at=None, version=NEXT_VERSION)

    async def purge(self, older_than_seconds: float) -> int:
        """Remove for good what was deleted longer ago than that."""
        too_late = func.now() - timedelta(seconds=older_than_seconds)
        async with self._database.write() as db:
            gone = await db.execute(delete(sessions).where(sessions.c.deleted_at <= too_late))
            return int(gone.rowcount)

    async def turns(self, session_id: UUID, latest: int | None = None) -> builtins.list[Turn]:
        """The turns in order; only the `latest` ones if given.

        Answers made of documents that whoever acts may no longer read are left empty.
        """
        mine, whose = self._whose(session_id)
        found = None
        if hot := self.hot.usable and latest != 0:
            present = await self._database.fetch(present_version(mine), whose)
            if not present:
                return []
            found = await self.hot.read(session_id, present[0].version, latest)
        if found is None:
            async with self._database.read() as db:
                rows = (await db.execute(session_turns(mine), {**whose, "latest": latest})).all()
            found = [turn_of(row) for row in reversed(rows)]
            if hot and rows:
                self.hot.keep(session_id, rows[0].version, found)
        return await without_hidden(self._database, self._access, found)

    async def exchanges(
        self, session_id: UUID, latest: int, before: int | None = None
    ) -> tuple[Exchange, ...]:
        """Questions and answers of the `latest` turns, or of those before turn `before`; oldest first.

        A hundredth of what `turns` reads; with access control it goes through that, for what may be seen.
        """
        if self._access.on:
            known = await self.turns(session_id, None if before else latest)
            chosen = [turn for turn in known if before is None or turn.id < before][-latest:]
            return tuple(Exchange(turn.answer.standalone_question, turn.answer.text) for turn in chosen)
        return _exchanges(await self._latest(session_id, latest, before))

    async def opening(
        self, session_id: UUID, question: str, latest: int
    ) -> tuple[int | None, tuple[Exchange, ...]]:
        """What a question begins with, in one read: the turn that it replaces, and what was said before.

        The last turn is replaced if it is this question and was stopped. The rest as `exchanges` tells it.
        """
        found = await self._latest(session_id, latest + 1)
        if not found:
            raise _no_session()
        last = found[0]
        stopped = last.complete == "false" and last.question == normalise_question(question)
        replaced = last.id if stopped else None
        if self._access.on:
            return replaced, await self.exchanges(session_id, latest, replaced) if latest else ()
        return replaced, _exchanges(found[1:] if stopped else found[:latest])

    async def _latest(self, session_id: UUID, latest: int, before: int | None = None) -> Sequence[Any]:
        mine, whose = self._whose(session_id)
        asked = {**whose, "latest": latest, "before": _ANY_TURN if before is None else before}
        return await self._database.fetch(latest_turns(mine), asked)

    async def share(self, session_id: UUID) -> str:
        """A new link's token: whoever has it, and may come in, reads the session. An older link ends."""
        token = secrets.token_urlsafe(24)
        await self._change("share", self._living(session_id), share=hashed(token))
        return token

    async def unshare(self, session_id: UUID) -> None:
        """End the link."""
        await self._change("end a share", self._living(session_id), share=None)

    async def shared(self, token: str) -> tuple[Session, builtins.list[Turn]]:
        """What a link leads to, to be read only: answers made of what the reader may not read are empty."""
        self._access.require("read")
        linked = and_(sessions.c.share == hashed(token), sessions.c.deleted_at.is_(None))
        async with self._database.read() as db:
            row = (await db.execute(select(*sessions.c, TURN_COUNT).where(linked))).first()
            if row is None:
                raise NotFound("This link leads to no chat.", hint="It may have been ended by who gave it.")
            rows = (await db.execute(turns_where(linked), {"latest": None})).all()
        await self._note_opened(row.id)
        found = [turn_of(one) for one in reversed(rows)]
        return session_of(row), await without_hidden(self._database, self._access, found, another=True)

    async def _note_opened(self, session_id: UUID) -> None:
        reader = (self._access.principal().id, session_id)
        if self._access.on and reader not in self._opened:
            async with self._database.write() as db:
                await note(db, self._access, "open a share", f"session {session_id}")
            self._opened[reader] = True

    async def add_turn(
        self,
        session_id: UUID,
        answer: Answer,
        *,
        mode: Mode,
        filter: DocumentFilter,
        replaces: int | None = None,
        also: Also | None = None,
    ) -> int:
        """Append a turn, or put it in the place of turn `replaces` and all after it.

        also: told the turn's id in the same transaction; what it writes lasts if and only if the turn does.
        """
        mine, whose = self._whose(session_id)
        given = {
            **whose,
            "named": _title(answer.question),
            "asked": answer.question,
            "text": answer.text,
            "answered": ANSWER.dump_json(answer).decode(),
            "in_mode": mode,
            "among": FILTER.dump_json(filter).decode(),
        }
        if replaces is None and also is None:
            try:
                added = await self._database.change(added_turn(mine), given)
            except Unsettled:
                added = await self._add_locked(mine, given, unsettled=True)
        else:
            added = await self._add_locked(mine, given, replaces, also)
        if not added:
            raise _no_session()
        (made,) = added
        placed = {"id": made.id, "position": made.position, "created_at": made.created_at}
        turn = Turn(session_id=session_id, answer=answer, mode=mode, filter=filter, **placed)
        if replaces is None or turn.position == 0:
            await self.hot.append(session_id, made.before, made.version, turn)
        else:
            self.hot.drop(session_id, made.before)
        return turn.id

    async def _add_locked(
        self,
        mine: bool,
        given: dict[str, Any],
        replaces: int | None = None,
        also: Also | None = None,
        *,
        unsettled: bool = False,
    ) -> Sequence[Any]:
        """In several statements. unsettled: it may be there already."""
        of = turns.c.session_id == given["session"]
        async with self._database.write() as db:
            if not (await db.execute(locked_session(mine).statement, given)).all():
                return ()
            if replaces is not None:
                place = select(turns.c.position).where(turns.c.id == replaces, of).scalar_subquery()
                await db.execute(delete(turns).where(of, turns.c.position >= place))
            added = await fetch_within(db, kept_turn(), given) if unsettled else ()
            added = added or await fetch_within(db, added_turn(mine), given)
            if also is not None:
                await also(db, str(added[0].id))
            return added

    async def turn(self, turn_id: int) -> Turn:
        """One turn of a session of one's own."""
        statement = (
            select(turns)
            .join(sessions, sessions.c.id == turns.c.session_id)
            .where(turns.c.id == turn_id, sessions.c.deleted_at.is_(None), self._own())
        )
        async with self._database.read() as db:
            row = (await db.execute(statement)).first()
        if row is None:
            raise _no_turn()
        (found,) = await without_hidden(self._database, self._access, [turn_of(row)])
        return found

    async def vote(self, turn_id: int, vote: Vote | None, reason: str = "") -> None:
        """Keep the reader's verdict on a turn; None takes it back."""
        async with self._database.write() as db:
            # First the session, as when turns are added: in another order two could wait for each other.
            of = select(turns.c.session_id).where(turns.c.id == turn_id).scalar_subquery()
            session = (
                await db.execute(
                    select(sessions.c.id, sessions.c.version)
                    .where(sessions.c.id == of, self._own())
                    .with_for_update()
                )
            ).first()
            changed = await db.execute(
                update(turns)
                .where(turns.c.id == turn_id)
                .values(vote=vote, reason=normalise(reason)[:1000] if vote else "")
            )
            if session is None or not changed.rowcount:
                raise _no_turn()
            await db.execute(update(sessions).where(sessions.c.id == session.id).values(version=NEXT_VERSION))
        self.hot.drop(session.id, session.version)

    async def export(self, session_id: UUID) -> str:
        """The session as Markdown, with its sources."""
        text = as_markdown(await self.get(session_id), await self.turns(session_id))
        if self._access.on:
            async with self._database.write() as db:
                await note(db, self._access, "export", f"session {session_id}")
        return text

    async def _change(self, action: str, which: Any, **values: object) -> None:
        async with self._database.write() as db:
            changed = await db.execute(
                update(sessions).where(which).values(**values).returning(sessions.c.id)
            )
            if (session_id := changed.scalar()) is None:
                raise _no_session()
            await note(db, self._access, action, f"session {session_id}")

    def _whose(self, session_id: UUID | None = None) -> tuple[bool, dict[str, Any]]:
        """Whether only sessions of whoever acts are meant, and the parameters that say which."""
        owner = self._access.require("read").id if self._access.on else ""
        return self._access.on, {"session": session_id, "owner": owner}

    def _own(self) -> ColumnElement[bool]:
        """Sessions of whoever acts; all of them without access control."""
        return sessions.c.owner == self._access.require("read").id if self._access.on else true()

    def _living(self, session_id: UUID) -> ColumnElement[bool]:
        return and_(sessions.c.id == session_id, sessions.c.deleted_at.is_(None), self._own())


def _no_turn() -> NotFound:
    return NotFound("This answer is no longer there.", hint="Load the session again.")


def _no_session() -> NotFound:
    return NotFound("There is no such session.", hint="It may have been deleted; start a new one.")


def _title(text: str) -> str:
    text = normalise(text)
    return text if len(text) <= TITLE_LENGTH else text[: TITLE_LENGTH - 1].rstrip() + "…"


def _exchanges(rows: Sequence[Any]) -> tuple[Exchange, ...]:
    """Of the latest turns, the last first; a row of nothing is none."""
    return tuple(Exchange(row.standalone_question, row.answer_text) for row in reversed(rows) if row.id)
