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
    case,
    cast,
    exists,
    extract,
    func,
    literal,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

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
_LAST = select(func.coalesce(func.max(turns.c.position), -1)).where(turns.c.session_id == _SESSION)


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
def latest_turns(mine: bool) -> Fixed:
    """Of its `latest` turns what a question reads of them, the last first; a row of nothing if it has none.

    Columns: id, question, standalone_question, answer_text, and whether it is `complete`.
    """
    latest = (
        select(
            turns.c.id,
            turns.c.question,
            turns.c.answer["standalone_question"].astext.label("standalone_question"),
            turns.c.answer_text,
            turns.c.answer["complete"].astext.label("complete"),
            turns.c.position,
        )
        .where(turns.c.session_id == sessions.c.id, turns.c.id < bindparam("before", type_=BigInteger()))
        .order_by(turns.c.position.desc())
        .limit(_LATEST)
        .lateral("latest")
    )
    joined = sessions.outerjoin(latest, true())
    return Fixed(select(*latest.c).select_from(joined).where(living(mine)).order_by(latest.c.position.desc()))


@cache
def new_session() -> Fixed:
    """Makes it, unless it is there already, and tells its row with its `turn_count`."""
    made = insert(sessions).values(
        id=_SESSION, title=bindparam("named", type_=Text()), owner=bindparam("owner", type_=Text())
    )
    again = made.on_conflict_do_update(index_elements=["id"], set_={"title": made.excluded.title})
    row = again.returning(*sessions.c).cte("made")
    return Fixed(select(*row.c, literal(0).label("turn_count")))


@cache
def locked_session(mine: bool) -> Fixed:
    """Its version; two tabs that write at once get an order."""
    return Fixed(select(sessions.c.version).where(living(mine)).with_for_update())


@cache
def kept_turn() -> Fixed:
    """The session's last turn, if it is the one that `answered` tells: an answer holds its own times."""
    return Fixed(
        select(
            turns.c.id,
            turns.c.position,
            turns.c.created_at,
            sessions.c.version,
            sessions.c.version.label("before"),
        )
        .join(sessions, sessions.c.id == turns.c.session_id)
        .where(
            turns.c.session_id == _SESSION,
            turns.c.position == _LAST.scalar_subquery(),
            turns.c.answer == cast(bindparam("answered", type_=Text()), JSONB),
        )
    )


@cache
def added_turn(mine: bool) -> Fixed:
    """Appends a turn; tells its id, position and time, and the session's version `before` and after it.

    Of two at once one meets a position that is taken, unless both have locked the session before.
    Nothing where there is no such session. Parameters: named (title of a session that has none),
    asked, text, answered and among (answer and filter as JSON), in_mode.
    """
    found = (
        select(sessions.c.id, sessions.c.version.label("before"))
        .where(living(mine))
        .with_for_update()
        .cte("found")
    )
    turn = {
        "session_id": found.c.id,
        "position": _LAST.scalar_subquery() + 1,
        "question": bindparam("asked", type_=Text()),
        "answer_text": bindparam("text", type_=Text()),
        "answer": cast(bindparam("answered", type_=Text()), JSONB),
        "mode": bindparam("in_mode", type_=Text()),
        "filter": cast(bindparam("among", type_=Text()), JSONB),
    }
    added = (
        insert(turns)
        .from_select(list(turn), select(*turn.values()))
        .returning(turns.c.id, turns.c.position, turns.c.created_at)
        .cte("added")
    )
    title = case((sessions.c.title == "", bindparam("named", type_=Text())), else_=sessions.c.title)
    changed = (
        update(sessions)
        .where(sessions.c.id == found.c.id)
        .values(updated_at=func.now(), title=title, version=NEXT_VERSION)
        .returning(sessions.c.version)
        .cte("changed")
    )
    return Fixed(select(*added.c, found.c.before, changed.c.version).select_from(found, added, changed))
