"""How a connection is opened, directly or through pgBouncer, and when it counts as broken.

Directly, what a connection needs is set once, when it is opened. pgBouncer lends a server
connection for one transaction and passes no settings on: there each transaction begins with
them, in the same round trip as BEGIN, and no prepared statement outlives it. That needs
nothing of pgBouncer's own configuration, and works before and after 1.21.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import asyncpg
from pgvector.asyncpg import register_vector
from pydantic_core import from_json, to_json
from sqlalchemy import event
from sqlalchemy import exc as sqlalchemy_errors
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

CONNECT_SECONDS = 5.0
# A server that restarts is back within that; one that stays away costs nobody more than that once.
RESTART_SECONDS = 3.0
RETRY_SECONDS = 0.05
# A connection cut by the server is noticed at once; one that a firewall has dropped is not.
ASK_AFTER_SECONDS = 30.0
ASK_SECONDS = 2.0

# SQLSTATEs: connection exceptions, shutdown, crash, start, idle too long.
BROKEN_STATES = ("08", "57P", "25P03")
FULL_STATE = "53300"
# What asyncpg says of a connection that has ended, and of one that is told to end and has not yet.
CUT = (asyncpg.InterfaceError, asyncpg.InternalClientError)
# pgBouncer has no SQLSTATE of its own for these.
FULL_MESSAGES = ("query_wait_timeout", "max_client_conn", "max_db_connections", "max_user_connections")


def says_broken(error: BaseException | None) -> bool:
    """Whether the server ends the connection with this error."""
    return str(getattr(error, "sqlstate", None) or "").startswith(BROKEN_STATES)


def says_full(error: BaseException | None) -> bool:
    """Whether PostgreSQL or pgBouncer has no connection to give."""
    if str(getattr(error, "sqlstate", None) or "") == FULL_STATE:
        return True
    return says_broken(error) and any(words in str(error) for words in FULL_MESSAGES)


class BouncedConnection(asyncpg.Connection):  # type: ignore[misc]
    """A connection to pgBouncer: every transaction brings its settings along."""

    opening = ""

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:
        """As asyncpg's, which begins its transactions through this method."""
        if query.startswith("BEGIN"):
            query += self.opening
        return str(await super().execute(query, *args, timeout=timeout))

    def _get_unique_id(self, prefix: str) -> str:
        # A named statement would stay behind on a server connection that others use: COPY makes some.
        return "" if prefix == "stmt" else str(super()._get_unique_id(prefix))


class Opener:
    """Opens the connections of one pool. It waits for a server that restarts.

    settings: PostgreSQL's, which hold on every connection or in every transaction.
    """

    def __init__(self, settings: Mapping[str, str], *, bounced: bool) -> None:
        self.bounced = bounced
        self._settings = dict(settings)
        self._connection_class = asyncpg.Connection
        if bounced:
            opening = "".join(f"; SET LOCAL {name} = {_value(value)}" for name, value in settings.items())
            self._connection_class = type("Bounced", (BouncedConnection,), {"opening": opening})
        self._lost_since: float | None = None

    def connect_args(self) -> dict[str, Any]:
        """For SQLAlchemy's asyncpg dialect."""
        given: dict[str, Any] = {
            "async_creator_fn": self.open,
            "timeout": CONNECT_SECONDS,
            "connection_class": self._connection_class,
            "server_settings": {"application_name": "dossier"},
        }
        if self.bounced:
            # Unnamed statements: parsed and run within one transaction, gone with the next.
            given |= {
                "statement_cache_size": 0,
                "prepared_statement_cache_size": 0,
                "prepared_statement_name_func": str,
            }
        else:
            given["server_settings"] |= self._settings
        return given

    async def open(self, *args: Any, **given: Any) -> asyncpg.Connection:
        """A new connection. Raises what asyncpg raises, once the server is away for RESTART_SECONDS."""
        while True:
            try:
                connection = await asyncpg.connect(*args, **given)
                await _know_vectors(connection)
            except (OSError, asyncpg.PostgresError, *CUT) as error:
                gone = isinstance(error, (OSError, *CUT)) or says_broken(error)
                if not gone or says_full(error) or "authentication failed" in str(error):
                    raise
                now = time.monotonic()
                self._lost_since = self._lost_since or now
                if now - self._lost_since > RESTART_SECONDS:
                    raise
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._lost_since = None
                return connection


def open_pool(url: str, opener: Opener, **options: Any) -> AsyncEngine:
    """SQLAlchemy's engine: a connection that is found broken is replaced before it is given out."""
    made = create_async_engine(
        url,
        connect_args=opener.connect_args(),
        json_serializer=lambda value: to_json(value).decode(),  # several times as fast as Python's own
        json_deserializer=from_json,
        **options,
    )

    @event.listens_for(made.sync_engine, "connect")
    def _fresh(_connection: Any, record: Any) -> None:
        record.info["used"] = None

    @event.listens_for(made.sync_engine, "checkin")
    def _used(_connection: Any, record: Any) -> None:
        record.info["used"] = time.monotonic()

    @event.listens_for(made.sync_engine, "checkout")
    def _check(connection: Any, record: Any, _proxy: Any) -> None:
        used = record.info.get("used")
        if used is None:
            return
        if connection.driver_connection.is_closed():
            raise sqlalchemy_errors.DisconnectionError("cut by the server")
        if time.monotonic() - used > ASK_AFTER_SECONDS:
            connection.run_async(_ask)

    @event.listens_for(made.sync_engine, "handle_error")
    def _broken(context: Any) -> None:
        # The server says why before it closes, and asyncpg hears it before it sees the end.
        if says_broken(context.original_exception):
            context.is_disconnect = True
        # The others are looked at when they are taken: not all need be broken.
        context.invalidate_pool_on_disconnect = False

    return made


async def _ask(connection: asyncpg.Connection) -> None:
    try:
        await connection.execute("SELECT", timeout=ASK_SECONDS)
    except (OSError, asyncpg.PostgresError, *CUT) as error:
        raise sqlalchemy_errors.DisconnectionError("does not answer") from error


async def _know_vectors(connection: asyncpg.Connection) -> None:
    try:
        # One transaction: through pgBouncer, its questions must meet one server connection.
        async with connection.transaction():
            await register_vector(connection)
    except ValueError:  # before the first migration there is no such type yet
        return


def _value(value: str) -> str:
    """A value of SET; a list such as the search path stays one."""
    return ", ".join("'" + part.strip().replace("'", "''") + "'" for part in value.split(","))
