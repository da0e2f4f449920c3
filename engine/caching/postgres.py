"""The lasting cache layer (L3): an unlogged table, shared by all processes, alive over restarts.

A crash of PostgreSQL empties it, which costs nothing but time.
"""

from __future__ import annotations

import asyncio

from sqlalchemy import Text, bindparam, delete, func, select, text

from engine.caching.base import LayerCounts, LayerUsage
from engine.errors import DatabaseUnavailable
from engine.storage.database import Database, Unsettled
from engine.storage.fixed import Fixed
from engine.storage.tables import cache_entries

TOGETHER_SECONDS = 0.05  # what is set within them is written at once: a question sets three entries

_GET = Fixed(
    select(cache_entries.c.value).where(
        cache_entries.c.key == bindparam("wanted", type_=Text()), cache_entries.c.expires_at > func.now()
    )
)
# In the order of keys: two processes that write the same ones never wait for each other.
_SET = Fixed(
    text(
        "INSERT INTO cache_entries (key, value, size, expires_at)"
        " SELECT key, value, length(value), now() + seconds * interval '1 second'"
        " FROM unnest(CAST(:keys AS text[]), CAST(:values AS bytea[]), CAST(:seconds AS float8[]))"
        " AS given (key, value, seconds) ORDER BY key"
        " ON CONFLICT (key) DO UPDATE"
        " SET value = EXCLUDED.value, size = EXCLUDED.size, expires_at = EXCLUDED.expires_at"
    )
)


class PostgresLayer:
    """A CacheLayer. max_bytes: `prune` keeps it below."""

    name = "L3"

    def __init__(self, database: Database, max_bytes: int) -> None:
        self.counts = LayerCounts()
        self._database = database
        self._max_bytes = max_bytes
        self._unwritten: dict[str, tuple[bytes, float]] = {}
        self._writing: asyncio.Task[None] | None = None

    async def get(self, key: str) -> bytes | None:
        """See CacheLayer."""
        with self.counts.timed():
            try:
                found = await self._database.fetch(_GET, {"wanted": key})
            except DatabaseUnavailable:
                self.counts.errors += 1
                return None
        if not found:
            self.counts.misses += 1
            return None
        self.counts.hits += 1
        value: bytes = found[0].value
        return value

    async def set(self, key: str, value: bytes, seconds: float) -> None:
        """See CacheLayer."""
        self._unwritten[key] = value, seconds
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await self._writing

    async def _write(self) -> None:
        try:
            await asyncio.sleep(TOGETHER_SECONDS)
        finally:
            taken, self._unwritten, self._writing = self._unwritten, {}, None
        values, seconds = zip(*taken.values(), strict=True)
        given = {"keys": list(taken), "values": list(values), "seconds": list(seconds)}
        try:
            await self._database.change(_SET, given)
            self.counts.writes += len(taken)
        except (DatabaseUnavailable, Unsettled):
            self.counts.errors += len(taken)

    async def clear(self) -> bool:
        """See CacheLayer."""
        try:
            async with self._database.write() as db:
                await db.execute(delete(cache_entries))
        except DatabaseUnavailable:
            self.counts.errors += 1
            return False
        return True

    async def usage(self) -> LayerUsage | None:
        """See CacheLayer."""
        statement = select(func.count(), func.coalesce(func.sum(cache_entries.c.size), 0))
        try:
            async with self._database.read() as db:
                entries, size = (await db.execute(statement.select_from(cache_entries))).one()
        except DatabaseUnavailable:
            return None
        return LayerUsage(int(entries), int(size), self._max_bytes)

    async def prune(self) -> None:
        """Remove what has expired, then the entries nearest their end until the rest fits.

        Raises DatabaseUnavailable.
        """
        async with self._database.write() as db:
            await db.execute(delete(cache_entries).where(cache_entries.c.expires_at <= func.now()))
            gone = await db.execute(
                text(
                    "DELETE FROM cache_entries WHERE key IN (SELECT key FROM ("
                    " SELECT key, sum(size) OVER (ORDER BY expires_at DESC, key) AS held FROM cache_entries"
                    ") AS kept WHERE held > :most)"
                ),
                {"most": self._max_bytes},
            )
            self.counts.evictions += int(gone.rowcount)
