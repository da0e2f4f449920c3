"""The statements of every question and every look at a chat, built once, which takes longer than to run them.

mine: of the sessions of `owner` alone, as with access control. Parameters: session, owner, and
what a statement names beside.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    Text,
    Uuid,
    and_,
    bindparam,
    cast,
    exists,
    extract,
    func,
    insert,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from engine.storage.fixed import Fixed
from engine.storage.tables import sessions, turns

TURN_COUNT = (
    select(func.count()).where(turns.c.session_id == sessions.c.id).scalar_subquery().label("turn_count")
)
# Grows, and by the clock: a database put back from a backup gives no version a second time.
NEXT_VERSION = func.greatest(
    sessions.c.version + 1, cast(extract("epoch", func.clock_timestamp()) * 1_000_000, BigInteger)
)
_SESSION = bindparam("session", type_=Uuid())
_LATEST = bindparam("latest", type_=Integer())


def own(mine: bool) -> ColumnElement[bool]:
    """Of the owner, or anybody's."""
    return sessions.c.owner == bindparam("owner", type_=Text()) if mine else true()


def living(mine: bool) -> ColumnElement[bool]:
    """The session, unless it is deleted."""
    return and_(sessions.c.id == _SESSION, sessions.c.deleted_at.is_(None), own(mine))


@cache
def one_session(mine: bool) -> Fixed:
    """Its row, with its `turn_count`."""
    return Fixed(select(*sessions.c, TURN_COUNT).where(living(mine)))


@cache
def listed_sessions(mine: bool, empty_too: bool) -> Fixed:
    """Rows with their `turn_count`, the latest first; `latest` of them after `offset`."""
    statement = select(*sessions.c, TURN_COUNT).where(own(mine), sessions.c.deleted_at.is_(None))
    if not empty_too:
        statement = statement.where(exists().where(turns.c.session_id == sessions.c.id))
    latest_first = statement.order_by(sessions.c.updated_at.desc(), sessions.c.id)
    return Fixed(latest_first.limit(_LATEST).offset(bindparam("offset", type_=Integer())))


@cache
def present_version(mine: bool) -> Fixed:
    """Its version."""
    return Fixed(select(sessions.c.version).where(living(mine)))


def turns_where(condition: ColumnElement[bool]) -> Select[Any]:
    """The `latest` turns of a session, the last first.

    The version in the same statement: turns of another one are never kept under it.
    """
    return (
        select(turns, sessions.c.version)
        .join(sessions, sessions.c.id == turns.c.session_id)
        .where(condition)
        .order_by(turns.c.position.desc())
        .limit(_LATEST)
    )


@cache
def session_turns(mine: bool) -> Select[Any]:
    """Of the session, as `turns_where`."""
    return turns_where(living(mine))


@cache
def last_turn(mine: bool) -> Fixed:
    """Its last turn's id, question and whether it is `complete`; a row of nothing if it has none."""
    last = (
        select(turns.c.id, turns.c.question, turns.c.answer["complete"].astext.label("complete"))
        .where(turns.c.session_id == sessions.c.id)
        .order_by(turns.c.position.desc())
        .limit(1)
        .lateral("last")
    )
    return Fixed(select(*last.c).select_from(sessions.outerjoin(last, true())).where(living(mine)))


@cache
def last_exchanges(mine: bool) -> Fixed:
    """Standalone question and text of its `latest` turns with an id below `before`, the last first."""
    return Fixed(
        select(turns.c.answer["standalone_question"].astext, turns.c.answer_text)
        .join(sessions, sessions.c.id == turns.c.session_id)
        .where(living(mine), turns.c.id < bindparam("before", type_=BigInteger()))
        .order_by(turns.c.position.desc())
        .limit(_LATEST)
    )


@cache
def locked_session(mine: bool) -> Fixed:
    """Its title and version; two tabs that write at once get an order."""
    return Fixed(select(sessions.c.title, sessions.c.version).where(living(mine)).with_for_update())


@cache
def added_turn() -> Fixed:
    """Appends a turn and tells its id, position and time, and the session's new version.

    Parameters: named (the session's title), asked, text,
    answered and among (answer and filter as JSON), in_mode.
    """
    last = select(func.coalesce(func.max(turns.c.position), -1)).where(turns.c.session_id == _SESSION)
    added = (
        insert(turns)
        .values(
            session_id=_SESSION,
            position=last.scalar_subquery() + 1,
            question=bindparam("asked", type_=Text()),
            answer_text=bindparam("text", type_=Text()),
            answer=cast(bindparam("answered", type_=Text()), JSONB),
            mode=bindparam("in_mode", type_=Text()),
            filter=cast(bindparam("among", type_=Text()), JSONB),
        )
        .returning(turns.c.id, turns.c.position, turns.c.created_at)
        .cte("added")
    )
    changed = (
        update(sessions)
        .where(sessions.c.id == _SESSION)
        .values(updated_at=func.now(), title=bindparam("named", type_=Text()), version=NEXT_VERSION)
        .returning(sessions.c.version)
        .cte("changed")
    )
    return Fixed(select(*added.c, changed.c.version).select_from(added.join(changed, true())))
