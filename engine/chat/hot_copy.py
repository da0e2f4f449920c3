"""The hot copy of sessions: their latest turns in Redis, for every process on one database.

PostgreSQL is the truth and says which version of a session is the present one; a copy is kept
under exactly one version, so that one from before a change, or from before Redis was away, is
never asked for again. Whatever is not here is read from PostgreSQL.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from redis.asyncio import Redis

from engine.chat.model import Turn
from engine.errors import RedisUnavailable
from engine.storage.redis import RedisClient

_TURN = TypeAdapter(Turn)
# Processes of two releases, side by side, do not read each other's copies.
_FORM = f"{zlib.crc32(json.dumps(_TURN.json_schema(), sort_keys=True).encode()):08x}"
_PENDING = 8  # writes under way in the background; one that is left out costs a miss

# The new turn goes in before the copy takes the new version's name: a Redis whose memory is
# full refuses the first and leaves all as it was.
_APPEND = """
if redis.call('exists', KEYS[1]) == 0 then return 0 end
redis.call('rpush', KEYS[1], ARGV[1])
redis.call('ltrim', KEYS[1], -tonumber(ARGV[2]), -1)
redis.call('rename', KEYS[1], KEYS[2])
redis.call('expire', KEYS[2], ARGV[3])
return 1
"""


class HotCopy:
    """A Redis list for each session, one turn an element. No method raises for Redis' sake.

    hits, misses: reads that were served, and that were not. errors: commands that Redis failed.
    """

    def __init__(self, redis: RedisClient, *, schema: str, seconds: int, max_turns: int) -> None:
        self.hits = self.misses = self.errors = 0
        self._redis = redis
        self._prefix = f"dossier:session:{schema}:"
        self._seconds = seconds
        self._max_turns = max_turns
        self._writes: dict[str, asyncio.Task[None]] = {}

    @property
    def usable(self) -> bool:
        """Whether it is worth asking which version is the present one."""
        return self._redis.status().reachable

    async def read(self, session_id: UUID, version: int, latest: int | None) -> list[Turn] | None:
        """The turns in order, the `latest` if given; None if the copy does not hold them all."""
        key, first = self._key(session_id, version), -latest if latest else 0
        packed: list[bytes] | None = await self._run(lambda redis: redis.lrange(key, first, -1))
        found = _unpack(packed) if packed else []
        if found and (found[0].position == 0 or len(found) == latest):
            self.hits += 1
            return found
        if packed is not None:
            self.misses += 1
        return None

    async def append(self, session_id: UUID, before: int, after: int, turn: Turn) -> None:
        """Write a turn through, by which version `before` became `after`."""
        if turn.position == 0:
            await self._put(self._key(session_id, after), [turn])
            return
        keys = (self._key(session_id, before), self._key(session_id, after))
        values = (_TURN.dump_json(turn), self._max_turns, self._seconds)
        await self._run(lambda redis: redis.eval(_APPEND, 2, *keys, *values))

    def keep(self, session_id: UUID, version: int, turns: Sequence[Turn]) -> None:
        """Write the latest turns of a version, in the background."""
        if turns:
            key = self._key(session_id, version)
            self._later(key, self._put(key, turns[-self._max_turns :]))

    def drop(self, session_id: UUID, version: int) -> None:
        """Take out the copy of a version that is none any more, in the background."""
        key = self._key(session_id, version)
        self._later(f"drop {key}", self._run(lambda redis: redis.unlink(key)))

    async def settle(self) -> None:
        """Wait for the writes in the background."""
        while self._writes:
            await asyncio.wait(self._writes.values())

    async def aclose(self) -> None:
        for write in self._writes.values():
            write.cancel()
        await self.settle()

    async def _put(self, key: str, turns: Sequence[Turn]) -> None:
        packed = [_TURN.dump_json(turn) for turn in turns]

        async def put(redis: Redis) -> None:
            async with redis.pipeline(transaction=True) as all_at_once:
                all_at_once.delete(key)
                all_at_once.rpush(key, *packed)
                all_at_once.expire(key, self._seconds)
                await all_at_once.execute()

        await self._run(put)

    async def _run(self, command: Callable[[Redis], Awaitable[Any]]) -> Any:
        try:
            return await self._redis.run(command)
        except RedisUnavailable:
            self.errors += 1
            return None

    def _later(self, name: str, write: Any) -> None:
        if name in self._writes or len(self._writes) >= _PENDING:
            write.close()
            return
        task = self._writes[name] = asyncio.create_task(write, name="hot copy")
        task.add_done_callback(lambda _: self._writes.pop(name, None))

    def _key(self, session_id: UUID, version: int) -> str:
        return f"{self._prefix}{session_id}:{version}:{_FORM}"


class NoHotCopy:
    """What stands in for a HotCopy where none is wanted."""

    hits = misses = errors = 0
    usable = False

    async def read(self, session_id: UUID, version: int, latest: int | None) -> list[Turn] | None:
        """Nothing."""
        return None

    async def append(self, session_id: UUID, before: int, after: int, turn: Turn) -> None:
        """Keeps nothing."""

    def keep(self, session_id: UUID, version: int, turns: Sequence[Turn]) -> None:
        """Keeps nothing."""

    def drop(self, session_id: UUID, version: int) -> None:
        """There is nothing."""

    async def settle(self) -> None:
        """There is nothing to wait for."""

    async def aclose(self) -> None:
        """There is nothing to close."""


def _unpack(packed: Sequence[bytes]) -> list[Turn]:
    """The turns; none if these are not turns."""
    try:
        return [_TURN.validate_json(turn) for turn in packed]
    except ValueError:
        return []
