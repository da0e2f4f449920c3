"""What goes wrong with the database, in our own terms."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy import exc as sqlalchemy_errors

from engine.errors import DatabaseUnavailable
from engine.storage.connections import CUT, says_full
from engine.storage.pool import QueueTimeout

# SQLSTATE classes: connection exception, insufficient resources, operator intervention.
CONNECTION_STATES = ("08", "53", "57")
# Invalid authorisation, no such database. pgBouncer says it in words only.
REFUSED_STATES = ("28", "3D")
QUERY_CANCELED = "57014"
TEMPORARY_SPACE = "53400"


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Raises DatabaseUnavailable for what fails inside, unless it is a mistake of ours."""
    try:
        yield
    except (QueueTimeout, sqlalchemy_errors.TimeoutError) as error:
        raise DatabaseUnavailable(
            "Every database connection is busy.", hint="Try again in a moment, or raise DATABASE_POOL_SIZE."
        ) from error
    except sqlalchemy_errors.StatementError as error:
        raise _in_our_terms(error) or error from error.orig
    except (
        OSError,
        TimeoutError,
        asyncpg.PostgresConnectionError,
        asyncpg.CannotConnectNowError,
        asyncpg.TooManyConnectionsError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,  # told to end by the server, and asked before the end came
    ) as error:
        raise (_full() if says_full(error) else _unreachable()) from error


def _in_our_terms(error: sqlalchemy_errors.StatementError) -> DatabaseUnavailable | None:
    """None for an error that is a mistake of ours."""
    state = str(getattr(error.orig, "sqlstate", None) or "")
    if says_full(error.orig):
        return _full()
    if state == QUERY_CANCELED:
        return too_slow()
    if state == TEMPORARY_SPACE:
        return DatabaseUnavailable(
            "The database has no room for its temporary files.",
            hint="Ask for less at once, or raise PostgreSQL's temp_file_limit.",
        )
    if state[:2] in REFUSED_STATES or "authentication failed" in str(error.orig):
        return DatabaseUnavailable(
            "The database refuses the login.", hint="Check user, password and database in its address."
        )
    lost = isinstance(error.orig, OSError) or isinstance(error, sqlalchemy_errors.InterfaceError)
    lost = lost or isinstance(getattr(error.orig, "__cause__", None), CUT)  # while it was being opened
    if isinstance(error, sqlalchemy_errors.DBAPIError):
        lost = lost or error.connection_invalidated
    return _unreachable() if lost or state[:2] in CONNECTION_STATES else None


def too_slow() -> DatabaseUnavailable:
    """A statement was cancelled."""
    return DatabaseUnavailable(
        "The database takes too long.", hint="Try again, or raise DATABASE_STATEMENT_TIMEOUT_SECONDS."
    )


def _full() -> DatabaseUnavailable:
    return DatabaseUnavailable(
        "Every connection of the database server is busy.",
        hint="Try again in a moment, or raise default_pool_size of pgBouncer, max_connections of PostgreSQL.",
    )


def _unreachable() -> DatabaseUnavailable:
    return DatabaseUnavailable(
        "The database does not answer.", hint="It is tried again with the next request."
    )
