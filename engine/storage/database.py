"""The database: one bounded pool a process, transactions, errors in our own terms."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from pgvector.asyncpg import register_vector
from sqlalchemy import event
from sqlalchemy import exc as sqlalchemy_errors
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from engine.errors import DatabaseUnavailable
from engine.observability.trace import note_pool_wait

CONNECT_SECONDS = 5.0

# SQLSTATE classes: connection exception, insufficient resources, operator intervention.
CONNECTION_STATES = ("08", "53", "57")
QUERY_CANCELED = "57014"


class Database:
    """A pool of connections to one schema of one PostgreSQL database.

    Both context managers raise DatabaseUnavailable when PostgreSQL cannot be reached,
    the connection breaks, or no connection is free in time.
    """

    def __init__(
        self,
        url: str,
        *,
        schema: str,
        pool_size: int,
        pool_timeout_seconds: float,
        statement_timeout_seconds: float,
    ) -> None:
        self.url = url
        self.schema = schema
        self._engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=pool_timeout_seconds,
            pool_pre_ping=True,  # a connection that a restart has cut is replaced unseen
            pool_recycle=1800,
            connect_args={
                "timeout": CONNECT_SECONDS,
                "server_settings": {
                    "application_name": "dossier",
                    "search_path": f"{schema}, public",
                    "statement_timeout": str(int(statement_timeout_seconds * 1000)),
                    "idle_in_transaction_session_timeout": "60000",
                    "jit": "off",
                },
            },
        )

        @event.listens_for(self._engine.sync_engine, "connect")
        def _know_vectors(connection: Any, _record: Any) -> None:
            connection.run_async(_register_vector)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction that is rolled back in the end."""
        async with _translated(), self._connect() as db:
            yield db

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction that is committed unless an error leaves the block."""
        async with _translated(), self._connect() as db, db.begin():
            yield db

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[AsyncConnection]:
        """A connection outside any transaction, for statements that refuse one (VACUUM)."""
        async with _translated(), self._connect() as db:
            yield await db.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[AsyncConnection]:
        asked = time.perf_counter()
        async with self._engine.connect() as db:
            note_pool_wait(time.perf_counter() - asked)
            yield db

    async def aclose(self) -> None:
        await self._engine.dispose()


async def driver(db: AsyncConnection) -> asyncpg.Connection:
    """The asyncpg connection under `db`, inside the same transaction: for COPY."""
    raw = await db.get_raw_connection()
    connection = raw.driver_connection
    assert isinstance(connection, asyncpg.Connection)
    return connection


async def _register_vector(connection: asyncpg.Connection) -> None:
    try:
        await register_vector(connection)
    except ValueError:  # before the first migration there is no such type yet
        return


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except sqlalchemy_errors.TimeoutError as error:
        raise DatabaseUnavailable(
            "Every database connection is busy.", hint="Try again in a moment, or raise DATABASE_POOL_SIZE."
        ) from error
    except sqlalchemy_errors.DBAPIError as error:
        state = str(getattr(error.orig, "sqlstate", None) or "")
        if state == QUERY_CANCELED:
            raise DatabaseUnavailable(
                "The database takes too long.", hint="Try again, or raise DATABASE_STATEMENT_TIMEOUT_SECONDS."
            ) from error
        lost = error.connection_invalidated or isinstance(error, sqlalchemy_errors.InterfaceError)
        if lost or state[:2] in CONNECTION_STATES:
            raise _unreachable() from error
        raise
    except (
        OSError,
        TimeoutError,
        asyncpg.PostgresConnectionError,
        asyncpg.CannotConnectNowError,
        asyncpg.TooManyConnectionsError,
        asyncpg.InterfaceError,
    ) as error:
        raise _unreachable() from error


def _unreachable() -> DatabaseUnavailable:
    return DatabaseUnavailable(
        "The database does not answer.", hint="It is tried again with the next request."
    )
