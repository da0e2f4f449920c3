"""Which questions are worked on: those that came first, a few at once.

A cached question is some milliseconds of work in a dozen steps with waits for the database between.
Where all that are asked take their steps side by side, each step waits for one of everybody else's, a
connection is held for as long, and the questions with most steps come last. So only a few go on at
once, the others wait in the order in which they came, and what has begun is ended before more begins.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

from engine.observability.trace import span

# With 1,000 users over REST on two cores 319, 374 and 342 questions a second at 16, 40 and 100: with too few
# all of them wait for the database at times, with more each waits for the others' steps.
PLACES = 40


class Admission:
    """places: how many are worked on at once, those not counted that are `aside`."""

    def __init__(self, places: int = PLACES) -> None:
        self._free = places
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for one's turn, and keep the place."""
        if self._free > 0:
            self._free -= 1
        else:
            await self._wait()
        place = _Place(self)
        token = _place.set(place)
        try:
            yield
        finally:
            _place.reset(token)
            place.close()

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return sum(not turn.done() for turn in self._waiting)

    async def _wait(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            with span("waiting for its turn"):
                await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give()  # it came in the same moment
            raise

    def take(self) -> None:
        """One that was aside goes on, whether there is room or not."""
        self._free -= 1

    def give(self) -> None:
        """Leave one's place to whoever waits longest."""
        self._free += 1
        while self._free > 0 and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # or it has given up
                self._free -= 1
                turn.set_result(None)


class _Place:
    """left: how many of its tasks wait aside."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._left = 0
        self._closed = False

    def leave(self) -> None:
        self._left += 1
        if self._left == 1 and not self._closed:
            self._admission.give()

    def come_back(self) -> None:
        self._left -= 1
        if self._left == 0 and not self._closed:
            self._admission.take()

    def close(self) -> None:
        if self._left == 0:
            self._admission.give()
        self._closed = True


_place: ContextVar[_Place | None] = ContextVar("place", default=None)


@contextmanager
def aside() -> Iterator[None]:
    """Wait inside for something slow, a model or a search: meanwhile the place is somebody else's."""
    place = _place.get()
    if place is None:
        yield
        return
    place.leave()
    try:
        yield
    finally:
        place.come_back()
