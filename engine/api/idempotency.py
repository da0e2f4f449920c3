"""Requests sent again with the same Idempotency-Key get the answer that the first one got.

After draft-ietf-httpapi-idempotency-key-header: another request under the same key is refused
(422), and so is one whose first is still under way (409). Kept in PostgreSQL, so that it holds
over all processes. What failed is forgotten and may be tried again. A process that dies loses its
claim within seconds; what it had made by then is known, since that is noted with the making.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import Header
from sqlalchemy import Row, and_, case, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response

from engine.access.collections import readable_ids
from engine.api.problems import Problem, Refused
from engine.api.responses import EventStream
from engine.engine import Engine
from engine.errors import DossierError
from engine.storage.tables import idempotency_keys as keys

KEPT = timedelta(hours=24)
PRUNED_SECONDS = 600.0
# A request under way renews its claim; one that is not renewed is of a process that has died.
CLAIM_SECONDS = 8.0
RENEWED_SECONDS = 2.0
_GRACE_SECONDS = 30.0  # after a request's time-out it is over, whatever has become of its response
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
class Claim:
    """A request that is done under its key. made: what an attempt before it has made, if it has."""

    key: str
    id: UUID
    made: str | None = None

    async def note(self, db: AsyncConnection, made: str) -> None:
        """Note what was made, in the transaction that makes it. Raises Refused where the claim is lost."""
        noted = await db.execute(
            update(keys).where(keys.c.key == self.key, keys.c.claim == self.id).values(made=made)
        )
        if not noted.rowcount:
            raise Refused(UNDER_WAY)


Work = Callable[[Claim | None], Awaitable[Response]]


class Idempotency:
    """Does work once a key."""

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = engine
        self._renewing: dict[UUID, asyncio.Task[None]] = {}
        self._pruned = -math.inf  # never yet; the clock may begin at the machine's start

    async def once(self, request: Request, key: str | None, content: str, work: Work) -> Response:
        """The response of `work`, or of the request that came before with this key.

        content: what makes two requests the same. work: given the claim, where there is a key.
        Raises Refused.
        """
        if key is None:
            return await work(None)
        # Another's answer is never given again.
        who = self._engine().access.principal().id
        if self._engine().access.on:
            async with self._engine().database.read() as db:
                # Nor is one's own, made of documents that one may no longer read.
                content += f" read in {await readable_ids(db, self._engine().access)}"
        place = f"{who} {request.method} {request.url.path} {key}"
        claim = Claim(hashlib.sha256(place.encode()).hexdigest(), uuid4())
        earlier = await self._claim(claim, hashlib.sha256(content.encode()).hexdigest())
        if earlier.status is not None:
            return _again(earlier)
        claim = replace(claim, made=earlier.made)
        renewing = asyncio.create_task(self._renew(claim), name="claim of an idempotency key")
        self._renewing[claim.id] = renewing
        renewing.add_done_callback(lambda _: self._renewing.pop(claim.id, None))
        try:
            response = await work(claim)
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

    async def _claim(self, claim: Claim, fingerprint: str) -> Row[Any]:
        """Take the key; its row has a status where it holds the answer already."""
        now = func.now()
        life = timedelta(seconds=CLAIM_SECONDS)
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
                "made": case((keys.c.expires_at > now, keys.c.made)),
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
            ours: Row[Any] | None = (await db.execute(taken.returning(keys))).first()
            if ours is not None:
                return ours
            earlier = (await db.execute(select(keys).where(keys.c.key == claim.key))).first()
        if earlier is not None and earlier.fingerprint != fingerprint:
            raise Refused(REUSED)
        if earlier is None or earlier.status is None:
            raise Refused(UNDER_WAY)
        return earlier

    async def _renew(self, claim: Claim) -> None:
        """While the request is under way. One that is cancelled before its stream begins tells no end."""
        until = time.monotonic() + self._engine().settings.request_timeout_seconds + _GRACE_SECONDS
        while time.monotonic() < until:
            await asyncio.sleep(RENEWED_SECONDS)
            with contextlib.suppress(DossierError):
                async with self._engine().database.write() as db:
                    await db.execute(
                        update(keys)
                        .where(keys.c.key == claim.key, keys.c.claim == claim.id)
                        .values(claimed_until=func.clock_timestamp() + timedelta(seconds=CLAIM_SECONDS))
                    )

    def _stop_renewing(self, claim: Claim) -> None:
        if (renewing := self._renewing.pop(claim.id, None)) is not None:
            renewing.cancel()

    async def _ended(self, claim: Claim, response: Response, body: bytes | None) -> None:
        """A stream is over; without its body where it did not come to its end."""
        await self._finally(self._release(claim) if body is None else self._keep(claim, response, body))

    async def _keep(self, claim: Claim, response: Response, body: bytes) -> None:
        self._stop_renewing(claim)
        headers = {name: response.headers[name] for name in _HEADERS if name in response.headers}
        async with self._engine().database.write() as db:
            await db.execute(
                update(keys)
                .where(keys.c.key == claim.key, keys.c.claim == claim.id)
                .values(status=response.status_code, headers=headers, body=body)
            )

    async def _release(self, claim: Claim) -> None:
        """Give the key free; what has been made under it stays known."""
        self._stop_renewing(claim)
        own = and_(keys.c.key == claim.key, keys.c.claim == claim.id)
        async with self._engine().database.write() as db:
            await db.execute(delete(keys).where(own, keys.c.made.is_(None)))
            await db.execute(update(keys).where(own).values(claimed_until=func.now()))

    @staticmethod
    async def _finally(work: Awaitable[None]) -> None:
        """Even while the request is being cancelled; where it fails, the claim runs out by itself."""
        with contextlib.suppress(DossierError):
            await asyncio.shield(asyncio.ensure_future(work))


def _again(earlier: Row[Any]) -> Response:
    return Response(earlier.body, earlier.status, {**earlier.headers, "Idempotency-Replayed": "true"})
