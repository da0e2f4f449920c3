"""Turns taken in order of askers, not of questions: one with a hundred waits behind one with one.

Round-robin over principals (Nagle 1987, "On packet switches with infinite storage"). Since turns of
several askers share the processor, one with questions waiting also rests between turns, as long as
each took, while somebody else asks.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from engine.access.principal import Access
from engine.answering.admission import aside

ASKING_SECONDS = 0.5  # whoever had a turn so short ago asks still
LONGEST_REST_SECONDS = 1.0


class FairQueue:
    """slots: how many work at once; one asker holds at most half of them, so that there is room
    for another. Without access control there is one asker, and no queue.
    """

    def __init__(self, slots: int, access: Access) -> None:
        self._free = slots
        self._most = max(1, slots // 2)
        self._access = access
        self._held: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._last: dict[str, float] = {}  # when a turn of theirs ended
        self._rests: dict[str, float] = {}  # until when

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for whoever acts to have their turn, and hold it."""
        if not self._access.on:
            yield
            return
        who = self._access.principal().id
        await self._take(who)
        began = _now()
        try:
            yield
        finally:
            self._rest(who, _now() - began)
            self._give(who)

    async def _take(self, who: str) -> None:
        if self._free and self._held[who] < self._most and who not in self._waiting:
            self._hold(who)
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(who, deque()).append(place)
        try:
            with aside():
                await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._give(who)  # it came in the same moment
            raise

    def _hold(self, who: str) -> None:
        self._free -= 1
        self._held[who] += 1

    def _rest(self, who: str, seconds: float) -> None:
        """Keep one who has more to ask from the next turn for so long, if another asks too."""
        now = _now()
        self._last = {one: at for one, at in self._last.items() if now - at < ASKING_SECONDS} | {who: now}
        if who in self._waiting and len({*self._held, *self._waiting, *self._last}) > 1:
            seconds = min(seconds, LONGEST_REST_SECONDS)
            self._rests[who] = now + seconds
            asyncio.get_running_loop().call_later(seconds, self._serve)

    def _give(self, who: str) -> None:
        self._free += 1
        self._held[who] -= 1
        if not self._held[who]:
            del self._held[who]
        self._serve()

    def _serve(self) -> None:
        now = _now()
        self._rests = {who: until for who, until in self._rests.items() if until > now}
        while self._free and (following := self._next()) is not None:
            waited, place = following
            self._hold(waited)
            place.set_result(None)

    def _next(self) -> tuple[str, asyncio.Future[None]] | None:
        """Whose turn it is, and which of their places; they go to the end."""
        for who in list(self._waiting):
            if self._held[who] >= self._most or who in self._rests:
                continue
            places = self._waiting.pop(who)
            place = places.popleft()
            while place.done() and places:  # given up
                place = places.popleft()
            if places:
                self._waiting[who] = places
            if not place.done():
                return who, place
        return None


def _now() -> float:
    return asyncio.get_running_loop().time()
