"""Pages run one at a time.

Each browser tab runs its page on a thread of its own. Dozens of threads that want the interpreter
at once hand it to each other a thousand times a second, and nobody comes to an end: one after the
other they take as long in all, and the first is done at once. A page that waits for the engine lets
another run; afterwards the one that began first goes on first.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_SECONDS = 0.5  # then it runs all the same: whoever has the turn may wait for this very one


class Pacing:
    """Who may run. Threads that never took a turn run as they like."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._numbers = itertools.count()
        self._waiting: list[tuple[int, threading.Event]] = []
        self._own = threading.local()

    @property
    def queued(self) -> int:
        """Threads that wait for a turn."""
        return len(self._waiting)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Run what is inside in a turn; within another turn of this thread, as a part of it."""
        if getattr(self._own, "number", None) is not None:
            yield
            return
        number = next(self._numbers)
        self._take(number)
        self._own.number = number
        try:
            yield
        finally:
            self._own.number = None
            self._give()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Inside, this thread waits for something, and another may run."""
        number = getattr(self._own, "number", None)
        if number is None:
            yield
            return
        self._own.number = None
        self._give()
        try:
            yield
        finally:
            self._take(number)
            self._own.number = number

    def _take(self, number: int) -> None:
        called = threading.Event()
        with self._lock:
            if self._running == 0:
                self._running = 1
                return
            heapq.heappush(self._waiting, (number, called))
        if called.wait(PATIENCE_SECONDS):
            return
        with self._lock:
            if not called.is_set():
                self._waiting.remove((number, called))
                heapq.heapify(self._waiting)
                self._running += 1

    def _give(self) -> None:
        with self._lock:
            self._running -= 1
            if self._running == 0 and self._waiting:
                self._running = 1
                heapq.heappop(self._waiting)[1].set()


PAGES = Pacing()
