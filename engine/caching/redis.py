"""The shared cache layer (L2): Redis or Valkey, for several processes on one database."""

from __future__ import annotations

from uuid import uuid4

from redis.asyncio import Redis

from engine.caching.base import LayerCounts, LayerUsage
from engine.errors import RedisUnavailable
from engine.storage.redis import RedisClient

LOCK_SECONDS = 10.0  # a process that dies while it computes keeps the others no longer
_SCAN = 500  # keys looked at in one step

# Delete a lock only if it is still ours.
_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end"


class RedisLayer:
    """A CacheLayer; also the lock that lets one process compute for all.

    prefix: of every key, so that several installations can share one server.
    """

    name = "L2"

    def __init__(self, redis: RedisClient, prefix: str) -> None:
        self.counts = LayerCounts()
        self._redis = redis
        self._prefix = prefix

    async def get(self, key: str) -> bytes | None:
        """See CacheLayer."""
        with self.counts.timed():
            try:
                value = await self._redis.run(lambda redis: redis.get(self._prefix + key))
            except RedisUnavailable:
                self.counts.errors += 1
                return None
        if value is None:
            self.counts.misses += 1
        else:
            self.counts.hits += 1
        assert value is None or isinstance(value, bytes)  # the client decodes nothing
        return value

    async def set(self, key: str, value: bytes, seconds: float) -> None:
        """See CacheLayer."""
        try:
            await self._redis.run(
                lambda redis: redis.set(self._prefix + key, value, px=max(1, int(seconds * 1000)))
            )
            self.counts.writes += 1
        except RedisUnavailable:
            self.counts.errors += 1

    async def clear(self) -> bool:
        """See CacheLayer; only this installation's keys go."""

        async def remove(redis: Redis) -> None:
            batch = [key async for key in redis.scan_iter(match=f"{self._prefix}*", count=_SCAN)]
            for start in range(0, len(batch), _SCAN):
                await redis.unlink(*batch[start : start + _SCAN])

        try:
            await self._redis.run(remove)
        except RedisUnavailable:
            self.counts.errors += 1
            return False
        return True

    async def usage(self) -> LayerUsage | None:
        """See CacheLayer; entries and bytes of the whole server."""
        try:
            memory = await self._redis.run(lambda redis: redis.info("memory"))
            entries = await self._redis.run(lambda redis: redis.dbsize())
            stats = await self._redis.run(lambda redis: redis.info("stats"))
        except RedisUnavailable:
            return None
        self.counts.evictions = int(stats.get("evicted_keys", 0))
        return LayerUsage(int(entries), int(memory["used_memory"]), int(memory.get("maxmemory", 0)))

    async def lock(self, key: str) -> str | None:
        """A token if the caller is the one to compute `key`; None if another process is.

        Raises RedisUnavailable.
        """
        token = uuid4().hex
        taken = await self._redis.run(
            lambda redis: redis.set(f"{self._prefix}{key}:lock", token, nx=True, px=int(LOCK_SECONDS * 1000))
        )
        return token if taken else None

    async def locked(self, key: str) -> bool:
        """Whether some process computes `key`. Raises RedisUnavailable."""
        return bool(await self._redis.run(lambda redis: redis.exists(f"{self._prefix}{key}:lock")))

    async def unlock(self, key: str, token: str) -> None:
        """Give the lock back; without Redis it ends by itself."""
        try:
            await self._redis.run(lambda redis: redis.eval(_RELEASE, 1, f"{self._prefix}{key}:lock", token))
        except RedisUnavailable:
            self.counts.errors += 1
