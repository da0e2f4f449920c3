"""One client of one Redis or Valkey, behind a circuit breaker.

Redis is never needed: whoever uses it has another way, and takes that one when
RedisUnavailable is raised. The first failure opens the breaker, so that at most the requests
under way wait, each no longer than the time-out. While it is open a task of its own asks
whether Redis is back; no request ever pays for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import CLOSED, OpenedState
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from engine.errors import RedisUnavailable

Result = TypeVar("Result")

TIMEOUT_SECONDS = 0.06
CONNECT_SECONDS = 0.25  # a connection is made once, a command sent all the time
PROBE_SECONDS = 1.0  # between two looks at a Redis that failed
_CONNECTIONS = 16
_PROBE = "dossier:probe"


@dataclass(frozen=True, slots=True)
class RedisStatus:
    """What the client has seen. why: empty while all is well. since: seconds of the epoch."""

    reachable: bool
    writable: bool
    why: str
    since: float


@dataclass(slots=True)
class _Seen:
    why: str = ""
    since: float = field(default_factory=time.time)

    def note(self, why: str) -> None:
        if why != self.why:
            self.why, self.since = why, time.time()


class RedisClient:
    """Runs commands; raises RedisUnavailable for whatever goes wrong with them.

    A refusal to write (memory full, a replica) is remembered for `status` but opens nothing:
    reads still work.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        probe_seconds: float = PROBE_SECONDS,
    ) -> None:
        pool: ConnectionPool = ConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS + 1,  # one for the probe
            socket_timeout=timeout_seconds,
            socket_connect_timeout=max(timeout_seconds, CONNECT_SECONDS),
            retry=Retry(NoBackoff(), 0),  # the breaker decides; a repeat would double the wait
        )
        self._redis: Redis = Redis(connection_pool=pool)
        self._breakers = AsyncCircuitBreakerFactory(default_threshold=1, default_ttl=probe_seconds)
        self._breaker: Any = None
        self._timeout = timeout_seconds
        self._probe_seconds = probe_seconds
        self._probing: asyncio.Task[None] | None = None
        self._slots = asyncio.Semaphore(_CONNECTIONS)
        self._reach, self._write = _Seen(), _Seen()

    async def run(self, command: Callable[[Redis], Awaitable[Result]]) -> Result:
        """The result of a command, a pipeline included. Raises RedisUnavailable."""
        breaker = await self._circuit()
        try:
            async with self._slots:  # the pool does not wait for a free connection
                if breaker.context.state != CLOSED:
                    raise RedisUnavailable(f"Redis is left alone for now: {self._reach.why}")
                async with breaker:
                    result = await self._refusals(command)
        except OpenedState as error:
            raise RedisUnavailable(f"Redis is left alone for now: {self._reach.why}") from error
        except (RedisError, OSError, TimeoutError) as error:
            self._reach.note(_reason(error))
            self._probe()
            raise RedisUnavailable(f"Redis does not answer: {self._reach.why}") from error
        if isinstance(result, RedisUnavailable):
            raise result
        return result

    async def connect(self) -> None:
        """Look at Redis once, so that `status` is right from the start. Raises nothing."""
        with contextlib.suppress(RedisUnavailable):
            await self.run(lambda redis: redis.ping())

    def status(self) -> RedisStatus:
        """What the latest commands met; asks nothing."""
        return RedisStatus(
            reachable=not self._reach.why,
            writable=not self._reach.why and not self._write.why,
            why=self._reach.why or self._write.why,
            since=self._reach.since if self._reach.why or not self._write.why else self._write.since,
        )

    async def aclose(self) -> None:
        if self._probing is not None:
            self._probing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._probing
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()

    async def _refusals(self, command: Callable[[Redis], Awaitable[Result]]) -> Result | RedisUnavailable:
        """The result, or the refusal of a Redis that is well otherwise."""
        try:
            # One bound over connecting, sending and a pipeline's several answers.
            async with asyncio.timeout(self._timeout + CONNECT_SECONDS):
                result = await command(self._redis)
        except (OutOfMemoryError, ReadOnlyError) as error:
            self._write.note(_reason(error))
            self._probe()
            refusal = RedisUnavailable(f"Redis takes no writes: {self._write.why}")
            refusal.__cause__ = error
            return refusal
        return result

    async def _circuit(self) -> Any:
        if self._breaker is None:
            self._breaker = await self._breakers.get_breaker("redis")
        return self._breaker

    def _probe(self) -> None:
        if self._probing is None or self._probing.done():
            self._probing = asyncio.create_task(self._until_back(), name="redis probe")

    async def _until_back(self) -> None:
        breaker = await self._circuit()
        while self._reach.why or self._write.why:
            await asyncio.sleep(self._probe_seconds)
            try:
                async with breaker:
                    self._write.note(await self._refused())
                self._reach.note("")
            except OpenedState:
                continue
            except (RedisError, OSError, TimeoutError) as error:
                self._reach.note(_reason(error))

    async def _refused(self) -> str:
        """Why a write is refused; empty if it is not."""
        try:
            await self._redis.set(_PROBE, "1", px=1000)
        except (OutOfMemoryError, ReadOnlyError) as error:
            return _reason(error)
        return ""


def _reason(error: BaseException) -> str:
    """In words that an operator knows; never the address, which may hold a password."""
    if isinstance(error, AuthenticationError):
        return "it refuses the password"
    if isinstance(error, BusyLoadingError):
        return "it is loading its data"
    if isinstance(error, OutOfMemoryError):
        return "its memory is full"
    if isinstance(error, ReadOnlyError):
        return "it is a read-only replica"
    if isinstance(error, RedisTimeoutError | TimeoutError):
        return "it took too long"
    if isinstance(error, ResponseError):
        return str(error).split(" ", 1)[0].lower()
    return "it cannot be reached"
