"""Requests sent again with the same Idempotency-Key get the answer that the first one got.

After draft-ietf-httpapi-idempotency-key-header: another request under the same key is refused
(422), and so is one whose first is still under way (409). Kept in PostgreSQL, so that it holds
over all processes. What failed is forgotten and may be tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import Header
from sqlalchemy import Row, and_, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from starlette.requests import Request
from starlette.responses import Response

from engine.api.problems import Problem, Refused
from engine.api.responses import EventStream
from engine.engine import Engine
from engine.errors import DossierError
from engine.storage.tables import idempotency_keys as keys

KEPT = timedelta(hours=24)
PRUNED_SECONDS = 600.0
_GRACE_SECONDS = 30.0  # after a request's time-out its process is taken for dead
_HEADERS = ("content-type", "location")

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]+$",
        description="Any word of yours: sent again with it, the same request is done only once (24 h).",
    ),
]

REUSED = Problem(
    422, "key-reused", "This Idempotency-Key was used for another request.", hint="Take a new one."
)
UNDER_WAY = Problem(
    409, "under-way", "The first request with this Idempotency-Key is still under way.", retry_after=1
)


@dataclass(frozen=True, slots=True)
class _Claim:
    key: str
    id: UUID


class Idempotency:
    """Does work once a key."""

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = engine
        self._pruned = -math.inf  # never yet; the clock may begin at the machine's start

    async def once(
        self, request: Request, key: str | None, content: str, work: Callable[[], Awaitable[Response]]
    ) -> Response:
        """The response of `work`, or of the request that came before with this key.

        content: what makes two requests the same. Raises Refused.
        """
        if key is None:
            return await work()
        # Another's answer is never given again.
        who = self._engine().access.principal().id
        place = f"{who} {request.method} {request.url.path} {key}"
        claim = _Claim(hashlib.sha256(place.encode()).hexdigest(), uuid4())
        earlier = await self._claim(claim, hashlib.sha256(content.encode()).hexdigest())
        if earlier is not None:
            return _again(earlier)
        try:
            response = await work()
        except BaseException:
            await self._finally(self._release(claim))
            raise
        if isinstance(response, EventStream):
            response.when_sent(lambda body: self._ended(claim, response, body))
        elif 200 <= response.status_code < 300:
            await self._finally(self._keep(claim, response, bytes(response.body)))
        else:
            await self._finally(self._release(claim))
        return response

    async def _claim(self, claim: _Claim, fingerprint: str) -> Row[Any] | None:
        """Take the key; returns what is kept under it where that is the answer already."""
        now = func.now()
        life = timedelta(seconds=self._engine().settings.request_timeout_seconds + _GRACE_SECONDS)
        taken = insert(keys).values(
            key=claim.key,
            fingerprint=fingerprint,
            claim=claim.id,
            claimed_until=now + life,
            expires_at=now + KEPT,
        )
        new = taken.excluded
        abandoned = and_(
            keys.c.status.is_(None), keys.c.claimed_until <= now, keys.c.fingerprint == new.fingerprint
        )
        taken = taken.on_conflict_do_update(
            index_elements=["key"],
            set_={
                "fingerprint": new.fingerprint,
                "claim": new.claim,
                "claimed_until": new.claimed_until,
                "expires_at": new.expires_at,
                "status": None,
                "headers": None,
                "body": None,
            },
            where=or_(keys.c.expires_at <= now, abandoned),
        )
        async with self._engine().database.write() as db:
            if time.monotonic() - self._pruned > PRUNED_SECONDS:
                self._pruned = time.monotonic()
                await db.execute(delete(keys).where(keys.c.expires_at <= now))
            if (await db.execute(taken.returning(keys.c.key))).first() is not None:
                return None
            earlier = (await db.execute(select(keys).where(keys.c.key == claim.key))).first()
        if earlier is not None and earlier.fingerprint != fingerprint:
            raise Refused(REUSED)
        if earlier is None or earlier.status is None:
            raise Refused(UNDER_WAY)
        return earlier

    async def _ended(self, claim: _Claim, response: Response, body: bytes | None) -> None:
        """A stream is over; without its body where it did not come to its end."""
        await self._finally(self._release(claim) if body is None else self._keep(claim, response, body))

    async def _keep(self, claim: _Claim, response: Response, body: bytes) -> None:
        headers = {name: response.headers[name] for name in _HEADERS if name in response.headers}
        async with self._engine().database.write() as db:
            await db.execute(
                update(keys)
                .where(keys.c.key == claim.key, keys.c.claim == claim.id)
                .values(status=response.status_code, headers=headers, body=body)
            )

    async def _release(self, claim: _Claim) -> None:
        async with self._engine().database.write() as db:
            await db.execute(delete(keys).where(keys.c.key == claim.key, keys.c.claim == claim.id))

    @staticmethod
    async def _finally(work: Awaitable[None]) -> None:
        """Even while the request is being cancelled; where it fails, the claim runs out by itself."""
        with contextlib.suppress(DossierError):
            await asyncio.shield(asyncio.ensure_future(work))


def _again(earlier: Row[Any]) -> Response:
    return Response(earlier.body, earlier.status, {**earlier.headers, "Idempotency-Replayed": "true"})
