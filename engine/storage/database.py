"""The database: one bounded pool a process, transactions, errors in our own terms."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import CursorResult, Executable, event, text
from sqlalchemy import exc as sqlalchemy_errors
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import NullPool
from sqlalchemy.util.concurrency import greenlet_spawn

from engine.observability.trace import NOWHERE, AnySpan, note_pool_wait, note_statement, span
from engine.storage.connections import CUT, Opener, open_pool, says_full
from engine.storage.failures import too_slow, translated
from engine.storage.fixed import Fixed, FixedRow
from engine.storage.pool import PoolStatus, Queue

IDLE_IN_TRANSACTION_SECONDS = 60
# A server that does not even end a statement that takes too long is waited for no longer.
HANGS_SECONDS = 2.0

_DRIVER_ERRORS = (OSError, asyncpg.PostgresError, *CUT)

Record = TypeVar("Record")


class Unsettled(Exception):
    """A change may have been done, or another's came first: look, and do it in a `write`."""


class Database:
    """A pool of connections to one schema of one PostgreSQL database.

    Its context managers raise DatabaseUnavailable when PostgreSQL cannot be reached,
    the connection breaks, or no connection is free in time.

    pooled_url: pgBouncer's address; empty connects directly. What pgBouncer cannot carry
        goes to `url` all the same: `direct` and `autocommit`.
    server_settings: PostgreSQL's, that the statements rely on (hnsw.ef_search and the like).
    waited: told the seconds of every wait for a connection.
    """

    def __init__(
        self,
        url: str,
        *,
        schema: str,
        pool_size: int,
        pool_timeout_seconds: float,
        statement_timeout_seconds: float,
        pooled_url: str = "",
        server_settings: Mapping[str, str] | None = None,
        waited: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.url = url
        self._waited = waited
        self.schema = schema
        self._hangs_after = statement_timeout_seconds + HANGS_SECONDS
        self._queue = Queue(pool_size, pool_timeout_seconds)
        self._replaced = 0
        settings = {
            "search_path": f"{schema}, public",
            "statement_timeout": str(int(statement_timeout_seconds * 1000)),
            "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_SECONDS * 1000),
            "jit": "off",
            **(server_settings or {}),
        }
        self._bounced = bool(pooled_url)
        self._pool = open_pool(
            pooled_url or url,
            Opener(settings, bounced=self._bounced),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=pool_timeout_seconds,
            pool_recycle=1800,
            pool_use_lifo=True,  # the one used last has its statements prepared
        )
        # Reading needs no transaction, which saves two of three round trips. Through pgBouncer
        # it does: a statement and its parameters must meet the same server connection.
        self._reading = (
            self._pool if self._bounced else self._pool.execution_options(isolation_level="AUTOCOMMIT")
        )
        self._direct = (
            open_pool(url, Opener(settings, bounced=False), poolclass=NullPool)
            if self._bounced
            else self._pool
        )

        @event.listens_for(self._pool.sync_engine, "invalidate")
        def _count(*_: Any) -> None:
            self._replaced += 1

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for statements that change nothing.

        Each sees what is committed when it begins. One whose connection breaks is run
        again on another, once.
        """
        connection = _Connection(
            self._reading, always_again=True, seconds=self._hangs_after, quick=not self._bounced
        )
        with span("database: read") as traced:
            async with translated(), self._taken(connection, traced) as db:
                yield db
                # What was read is read: a connection that breaks now is only thrown away.
                with contextlib.suppress(sqlalchemy_errors.DBAPIError):
                    await db.rollback()

    async def fetch(self, statement: Fixed, given: Mapping[str, object]) -> Sequence[Any]:
        """All rows of one statement that changes nothing, as `read` gives them, for a third of the cost."""
        if not self._bounced:  # pgBouncer wants a transaction
            async with translated():
                try:
                    with span("database: read") as traced:
                        return await self._alone(statement, given, traced)
                except TimeoutError:
                    raise
                except asyncpg.QueryCanceledError as error:
                    raise too_slow() from error
                except _DRIVER_ERRORS:
                    pass  # run again on another connection
        async with self.read() as db:
            rows: Sequence[Any] = (await db.execute(statement.statement, dict(given))).all()
            return rows

    async def change(self, statement: Fixed, given: Mapping[str, object]) -> Sequence[Any]:
        """Rows of one statement that is a transaction of its own: one round trip where `write` takes four.

        Raises Unsettled where its connection broke, or where a unique value is taken.
        """
        if self._bounced:  # pgBouncer wants a transaction
            try:
                async with self.write() as db:
                    await db.execute(text("SELECT"))  # begins it
                    return await fetch_within(db, statement, given)
            except asyncpg.UniqueViolationError as error:
                raise Unsettled from error
        async with translated():
            try:
                with span("database: write") as traced:
                    return await self._alone(statement, given, traced)
            except TimeoutError:
                raise
            except asyncpg.QueryCanceledError as error:
                raise too_slow() from error
            except _DRIVER_ERRORS as error:
                raise Unsettled from error

    async def _alone(
        self, statement: Fixed, given: Mapping[str, object], traced: AnySpan
    ) -> Sequence[FixedRow]:
        asked = time.perf_counter()
        async with self._queue.place():
            pooled = await self._given_out()
            whole = False
            try:
                started = time.perf_counter()
                self._note_wait(started - asked, traced)
                async with asyncio.timeout(self._hangs_after):
                    found = await _run_fixed(pooled.driver_connection, statement, given)
                note_statement(time.perf_counter() - started)
                whole = True
                return found
            except (asyncpg.QueryCanceledError, asyncpg.UniqueViolationError):
                whole = True
                raise
            finally:
                # Who leaves in the middle leaves a connection that nobody else should wait for.
                await greenlet_spawn(pooled.close if whole else pooled.invalidate)

    async def _given_out(self) -> Any:
        try:
            return await self._pool.raw_connection()
        except self._pool.dialect.loaded_dbapi.Error as error:
            # One could not be opened: here SQLAlchemy lets an error of its own for the driver's through.
            raise (error.__cause__ or error) from None

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction that is committed unless an error leaves the block.

        Where its first statement meets a broken connection, it is run again on another:
        nothing came before it, and nothing is committed. Anything later fails.
        """
        connection = _Connection(self._pool, always_again=False, seconds=None)
        with span("database: write") as traced:
            async with translated(), self._taken(connection, traced) as db:
                yield db
                await db.commit()

    @asynccontextmanager
    async def direct(self) -> AsyncIterator[AsyncConnection]:
        """As `write`, never through pgBouncer: for what changes the schema and may take long."""
        async with translated(), self._aside() as db, db.begin():
            yield db

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[AsyncConnection]:
        """A connection outside any transaction, for statements that refuse one (VACUUM)."""
        async with translated(), self._aside() as db:
            yield await db.execution_options(isolation_level="AUTOCOMMIT")

    def pool_status(self) -> PoolStatus:
        """The pool as it is now; asks nobody."""
        pool: Any = self._pool.pool
        return PoolStatus(
            through_pgbouncer=self._bounced,
            size=pool.size(),
            in_use=pool.checkedout(),
            idle=pool.checkedin(),
            waiting=self._queue.waiting,
            acquired_total=self._queue.acquired_total,
            wait_seconds_total=self._queue.wait_seconds_total,
            timeouts_total=self._queue.timeouts_total,
            replaced_total=self._replaced,
        )

    async def aclose(self) -> None:
        """Close what is idle; the next use opens connections anew."""
        await self._pool.dispose()
        await self._direct.dispose()

    def _aside(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Never through pgBouncer; what is not of the pool needs no place in its queue."""
        return self._direct.connect() if self._bounced else self._taken(self._direct.connect())

    @asynccontextmanager
    async def _taken(
        self, connection: AsyncConnection, traced: AnySpan = NOWHERE
    ) -> AsyncIterator[AsyncConnection]:
        asked = time.perf_counter()
        async with self._queue.place(), connection as db:
            self._note_wait(time.perf_counter() - asked, traced)
            yield db

    def _note_wait(self, seconds: float, traced: AnySpan) -> None:
        note_pool_wait(seconds)
        self._waited(seconds)
        traced.set(pool_wait_ms=seconds * 1000)


class _Connection(AsyncConnection):
    """Runs a statement again, once, where its connection breaks and that is safe.

    always_again: every statement, not only the first. seconds: longest wait for one.
    quick: whether statements need no transaction, and may go straight to the driver.
    """

    def __init__(
        self, pool: AsyncEngine, *, always_again: bool, seconds: float | None, quick: bool = False
    ) -> None:
        super().__init__(pool)
        self._always_again = always_again
        self._again = True
        self._seconds = seconds
        self.quick = quick

    async def execute(
        self, statement: Executable, parameters: Any = None, *, execution_options: Any = None
    ) -> CursorResult[Any]:
        try:
            return await self._run(statement, parameters, execution_options)
        except sqlalchemy_errors.DBAPIError as error:
            if not self._again or not error.connection_invalidated or says_full(error.orig):
                raise
            await self.rollback()  # of nothing: it has gone with its connection
            return await self._run(statement, parameters, execution_options)
        finally:
            self._again = self._always_again

    async def fetch(self, statement: Fixed, given: Mapping[str, object]) -> Sequence[Any]:
        """All rows, where it is `quick`; through `execute`, on another connection, if this one breaks."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._seconds):
                return await _run_fixed(await driver(self), statement, given)
        except asyncpg.QueryCanceledError as error:
            raise too_slow() from error
        except TimeoutError:
            await self.invalidate()  # what it waits for may still come
            raise
        except _DRIVER_ERRORS:
            await self.invalidate()
            await self.rollback()  # of nothing: it has gone with its connection
            return (await self.execute(statement.statement, dict(given))).all()
        except asyncio.CancelledError:
            await self.invalidate()
            raise
        finally:
            note_statement(time.perf_counter() - started)

    async def _run(self, statement: Executable, parameters: Any, options: Any) -> CursorResult[Any]:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._seconds):
                return await super().execute(statement, parameters, execution_options=options)
        finally:
            note_statement(time.perf_counter() - started)


@asynccontextmanager
async def setting(db: AsyncConnection, name: str, value: str) -> AsyncIterator[None]:
    """Another value of a server setting for the statements inside."""
    await db.execute(text("SELECT set_config(:name, :value, false)"), {"name": name, "value": value})
    try:
        yield
    finally:
        # Where this fails, the transaction or the connection has failed, and takes the value along.
        with contextlib.suppress(sqlalchemy_errors.DBAPIError):
            await db.execute(text(f"RESET {name}"))


async def fetch_rows(db: AsyncConnection, statement: Fixed, given: Mapping[str, object]) -> Sequence[Any]:
    """All rows of a statement that changes nothing: on a connection of `read` for a third of the cost."""
    if isinstance(db, _Connection) and db.quick:
        return await db.fetch(statement, given)
    return (await db.execute(statement.statement, dict(given))).all()


async def fetch_within(
    db: AsyncConnection, statement: Fixed, given: Mapping[str, object]
) -> Sequence[FixedRow]:
    """All rows of a statement, for less than `db.execute` costs; `db` must have run one before."""
    started = time.perf_counter()
    found = await _run_fixed(await driver(db), statement, given)
    note_statement(time.perf_counter() - started)
    return found


async def driver(db: AsyncConnection) -> asyncpg.Connection:
    """The asyncpg connection under `db`, inside the same transaction: for COPY."""
    raw = await db.get_raw_connection()
    connection = raw.driver_connection
    assert isinstance(connection, asyncpg.Connection)
    return connection


async def unhurried(records: Iterable[Record], at_once: int) -> AsyncIterator[Record]:
    """Records for COPY, with a turn for everybody else on the event loop after every so many."""
    for number, record in enumerate(records, start=1):
        yield record
        if number % at_once == 0:
            await asyncio.sleep(0)


async def _run_fixed(connection: Any, statement: Fixed, given: Mapping[str, object]) -> Sequence[FixedRow]:
    rows: Sequence[FixedRow] = await connection.fetch(
        statement.sql, *statement.arguments(given), record_class=FixedRow
    )
    return rows
