"""A cache of one kind of value over three layers: this process, Redis, PostgreSQL.

Looked up in this order; what a lower layer has is copied up. Identical misses compute once:
in this process always, among processes where Redis is there to tell them of each other.
Lower layers are written after the caller has its value.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, Generic, TypeVar

import msgpack  # type: ignore[import-untyped]

from engine.answering.admission import aside
from engine.caching.base import CacheLayer
from engine.caching.memory import MemoryLayer, Share, whole
from engine.caching.redis import RedisLayer
from engine.errors import RedisUnavailable
from engine.observability.trace import note_cache, span

log = logging.getLogger(__name__)

Value = TypeVar("Value")
Key = Sequence[Any]  # of what msgpack knows, dates and dataclasses of those

JITTER = 0.1  # lives differ by so much, so that what was cached together does not end together
WAIT_SECONDS = 2.0  # for another process; then this one computes too
POLL_SECONDS = 0.01
MOST_PENDING = 64  # writes to the lower layers; beyond them values are only kept in this process


@dataclass(frozen=True, slots=True)
class Codec(Generic[Value]):
    """How a kind of value becomes bytes and back.

    format: changes with the form, so that older bytes are not found. decode: raises
    ValueError for bytes that are none of its own. size: bytes that a value takes in memory, without
    the parts that `share` gives out; see MemoryLayer.
    """

    format: str
    encode: Callable[[Value], bytes]
    decode: Callable[[bytes], Value]
    size: Callable[[Value], int]
    share: Share[Value] = whole
    part_size: Callable[[Any], int] = lambda _: 0


class LayeredCache(Generic[Value]):
    """See the module.

    name: what is cached, for traces and keys. seconds: life of an entry.
    keep: whether a computed value is worth keeping (a degraded one is not).
    """

    def __init__(
        self,
        name: str,
        codec: Codec[Value],
        memory: MemoryLayer[Value],
        lower: Sequence[CacheLayer] = (),
        *,
        seconds: float,
        keep: Callable[[Value], bool] = lambda _: True,
    ) -> None:
        self.name = name
        self._span_name = f"cache: {name}"
        self.memory = memory
        self.lower = tuple(lower)
        self._codec = codec
        self._seconds = seconds
        self._keep = keep
        self._shared = next((layer for layer in lower if isinstance(layer, RedisLayer)), None)
        self._running: dict[str, asyncio.Task[tuple[Value, str]]] = {}
        self._pending: set[asyncio.Task[None]] = set()

    async def get(self, key: Key, compute: Callable[[], Awaitable[Value]], *, new: bool = False) -> Value:
        """The value of `key`, cached or else computed. Errors of `compute` are not cached.

        new: whether no lower layer can have it yet; none is then asked.
        """
        digest = self.digest(key)
        held = self.memory.get(digest)
        if held is not None:  # sooner than a span of it would be made
            note_cache(self.name, self.memory.name)
            return held
        with span(self._span_name) as traced:
            value, layer = await self._find(digest, compute, new)
            traced.set(layer=layer)
        note_cache(self.name, layer)
        return value

    async def _find(
        self, digest: str, compute: Callable[[], Awaitable[Value]], new: bool
    ) -> tuple[Value, str]:
        """What this process's memory lacks, and the layer that had it."""
        running = self._running.get(digest)
        if running is None:
            running = asyncio.ensure_future(self._fill(digest, compute, new))
            self._running[digest] = running
            running.add_done_callback(lambda _: self._running.pop(digest, None))
            # A caller that gives up must not take the computation from the others.
            with aside():
                return await asyncio.shield(running)
        with aside():
            value, _ = await asyncio.shield(running)
        return value, self.memory.name

    def digest(self, key: Key) -> str:
        """What stands for `key` in every layer."""
        packed = msgpack.packb([self.name, self._codec.format, list(key)], default=_plain)
        return f"{self.name}:{hashlib.sha256(packed).hexdigest()[:40]}"

    def clear(self) -> None:
        """Forget what this process holds."""
        self.memory.clear()

    async def drain(self) -> None:
        """Wait until the lower layers have been written."""
        while self._pending:
            await asyncio.wait(set(self._pending))

    async def aclose(self) -> None:
        """Let writes under way end, for a second."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.drain(), 1.0)
        for task in [*self._pending, *self._running.values()]:
            task.cancel()

    async def _fill(
        self, digest: str, compute: Callable[[], Awaitable[Value]], new: bool
    ) -> tuple[Value, str]:
        if not new and (found := await self._look(digest)) is not None:
            return found
        token = None
        if self._shared is not None and not new:
            try:
                token = await self._shared.lock(digest)
                if token is None and (value := await self._await_other(digest)) is not None:
                    return value, self._shared.name
            except RedisUnavailable:
                pass
        try:
            value = await compute()
        except BaseException:
            if token is not None:
                await asyncio.shield(self._unlock(digest, token))
            raise
        self._store(digest, value, token)
        return value, "miss"

    async def _look(self, digest: str) -> tuple[Value, str] | None:
        """The lower layers in order; what one has is copied to those above it."""
        for place, layer in enumerate(self.lower):
            with span(f"cache layer: {layer.name}") as traced:
                packed = await layer.get(digest)
                traced.set(found=packed is not None)
            if packed is None:
                continue
            value = self._decoded(packed)
            if value is not None:
                seconds = self._life()
                self.memory.set(digest, value, seconds)
                self._later(self._write(digest, packed, seconds, self.lower[:place], None))
                return value, layer.name
        return None

    async def _await_other(self, digest: str) -> Value | None:
        """What another process computes; None if it fails or takes too long."""
        assert self._shared is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT_SECONDS):
                while True:
                    await asyncio.sleep(POLL_SECONDS)
                    working = await self._shared.locked(digest)
                    packed = await self._shared.get(digest)
                    if packed is not None and (value := self._decoded(packed)) is not None:
                        self.memory.set(digest, value, self._life())
                        return value
                    if not working:
                        return None
        return None

    def _decoded(self, packed: bytes) -> Value | None:
        try:
            return self._codec.decode(packed)
        except (ValueError, TypeError, msgpack.UnpackException):
            log.warning("A cached %s could not be read; it is computed anew.", self.name)
            return None

    def _store(self, digest: str, value: Value, token: str | None) -> None:
        if not self._keep(value):
            if token is not None:
                self._later(self._unlock(digest, token))
            return
        seconds = self._life()
        self.memory.set(digest, value, seconds)
        if self.lower and (token is not None or len(self._pending) < MOST_PENDING):
            self._later(self._write(digest, self._codec.encode(value), seconds, self.lower, token))

    async def _write(
        self, digest: str, packed: bytes, seconds: float, layers: Sequence[CacheLayer], token: str | None
    ) -> None:
        for layer in layers:
            await layer.set(digest, packed, seconds)
            if token is not None and layer is self._shared:
                await self._unlock(digest, token)

    async def _unlock(self, digest: str, token: str) -> None:
        if self._shared is not None:
            await self._shared.unlock(digest, token)

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    def _life(self) -> float:
        return self._seconds * random.uniform(1 - JITTER, 1 + JITTER)


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return [getattr(value, field.name) for field in fields(value)]
