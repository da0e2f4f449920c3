"""The lasting cache layer (L3): an unlogged table, shared by all processes, alive over restarts.

A crash of PostgreSQL empties it, which costs nothing but time.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert

from engine.caching.base import LayerCounts, LayerUsage
from engine.errors import DatabaseUnavailable
from engine.storage.database import Database
from engine.storage.tables import cache_entries


class PostgresLayer:
    """A CacheLayer. max_bytes: `prune` keeps it below."""

    name = "L3"

    def __init__(self, database: Database, max_bytes: int) -> None:
        self.counts = LayerCounts()
        self._database = database
        self._max_bytes = max_bytes

    async def get(self, key: str) -> bytes | None:
        """See CacheLayer."""
        statement = select(cache_entries.c.value).where(
            cache_entries.c.key == key, cache_entries.c.expires_at > func.now()
        )
        with self.counts.timed():
            try:
                async with self._database.read() as db:
                    value: bytes | None = (await db.execute(statement)).scalar()
            except DatabaseUnavailable:
                self.counts.errors += 1
                return None
        if value is None:
            self.counts.misses += 1
        else:
            self.counts.hits += 1
        return value

    async def set(self, key: str, value: bytes, seconds: float) -> None:
        """See CacheLayer."""
        values = {"value": value, "size": len(value), "expires_at": func.now() + timedelta(seconds=seconds)}
        statement = insert(cache_entries).values(key=key, **values)
        try:
            async with self._database.write() as db:
                await db.execute(statement.on_conflict_do_update(index_elements=["key"], set_=values))
            self.counts.writes += 1
        except DatabaseUnavailable:
            self.counts.errors += 1

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
