"""One thread that owns a model and works through everybody's requests in small batches."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from engine.errors import DossierError, ModelUnavailable, Unavailable

WINDOW = 32  # requests; tokenising them takes a few milliseconds
TOGETHER = 8  # requests that are fed to a model together at least, where so many wait
WAITING_LIMIT = 4096  # requests, of all callers

log = logging.getLogger(__name__)

Asked = TypeVar("Asked")
AskedIn = TypeVar("AskedIn", contravariant=True)
Prepared = TypeVar("Prepared", bound=Sized)
Result = TypeVar("Result")
ResultOut = TypeVar("ResultOut", covariant=True)


class BatchModel(Protocol[AskedIn, Prepared, ResultOut]):
    """A model as its worker sees it; only the worker's thread calls it.

    The length of what `prepare` gives is its cost, in the unit of the worker's `batch_size`. `run`
    is given the costliest first, and may give results as they come, in that order. One with
    `reads_ahead = True` is given an iterator, without end while requests come, and takes from it
    when it has room: nothing waits for the last of a batch, and what is taken is prepared meanwhile.
    """

    def prepare(self, asked: AskedIn) -> Prepared: ...

    def run(self, batch: Sequence[Prepared]) -> Iterable[ResultOut]: ...


@dataclass(slots=True, eq=False)
class _Request(Generic[Asked, Result]):
    asked: Asked
    urgent: bool
    last: bool  # of those that were submitted together
    future: Future[Result] = field(default_factory=Future)


class Worker(Generic[Asked, Prepared, Result]):
    """Gathers concurrent requests into batches of similar length; urgent ones go first.

    A batch holds at most `batch_size` (padded) in all, or one request. What is not urgent never
    keeps the rest waiting for more than the batch that is running. Work of cancelled callers that
    has not begun is dropped. Memory does not grow with the number of callers.
    """

    def __init__(
        self,
        what: str,
        load: Callable[[], BatchModel[Asked, Prepared, Result]],
        *,
        batch_size: int,
        window: int = WINDOW,
    ) -> None:
        """what: stands in its errors, as in “embedder e5”. window: requests sorted by length together."""
        self._what = what
        self._load = load
        self._batch_size = batch_size
        self._window = window
        self._urgent: deque[_Request[Asked, Result]] = deque()
        self._others: deque[_Request[Asked, Result]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self.loaded: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name=what, daemon=True)

    def begin(self) -> None:
        """Start loading the model, in its thread; `loaded` tells how that ends."""
        self._thread.start()

    async def start(self) -> None:
        """Load the model. Raises ModelUnavailable."""
        self.begin()
        try:
            await asyncio.shield(asyncio.wrap_future(self.loaded))
        except asyncio.CancelledError:
            self.close()
            raise

    def submit(self, asked: Sequence[Asked], *, urgent: bool = False) -> list[Future[Result]]:
        """One future a request; they fail with ModelUnavailable.

        Raises Unavailable when closed or overloaded.
        """
        requests = [_Request[Asked, Result](one, urgent, n == len(asked)) for n, one in enumerate(asked, 1)]
        with self._changed:
            if self._closed:
                raise Unavailable(f"The {self._what} is closed.")
            if len(self._urgent) + len(self._others) + len(requests) > WAITING_LIMIT:
                raise Unavailable(f"The {self._what} has too much to do.", hint="Try again in a moment.")
            (self._urgent if urgent else self._others).extend(requests)
            self._changed.notify()
        return [request.future for request in requests]

    async def aclose(self) -> None:
        """Finish what was asked, then let the model go."""
        self.close()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)

    def close(self) -> None:
        """Take no more requests; the thread ends when those that wait are done."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        try:
            model = self._load()
        except DossierError as error:
            self.loaded.set_exception(error)
            return
        except Exception as error:
            log.exception("loading the %s", self._what)
            failure = ModelUnavailable(f"The {self._what} cannot be loaded: {error}")
            failure.__cause__ = error
            self.loaded.set_exception(failure)
            return
        self.loaded.set_result(None)
        if getattr(model, "reads_ahead", False):
            self._feed(model)
        while window := self._next_window():
            for batch in self._batches(model, window):
                if not window[0].urgent and (overtaking := self._take(self._urgent)):
                    for ahead in self._batches(model, overtaking):
                        self._run_batch(model, ahead)
                self._run_batch(model, batch)

    def _feed(self, model: BatchModel[Asked, Prepared, Result]) -> None:
        """Give a model that reads ahead what waits, as it takes it; until closed and drained."""
        ready: deque[tuple[_Request[Asked, Result], Prepared]] = deque()
        taken: deque[_Request[Asked, Result]] = deque()

        def given() -> Iterator[Prepared]:
            while True:
                while ready:
                    request, prepared = ready.popleft()
                    if request.future.set_running_or_notify_cancel():
                        taken.append(request)
                        yield prepared
                if not (together := self._take_together()):
                    return
                ready.extend(reversed(self._prepared(model, together)))

        while ready or self._something_waits():
            try:
                for result in model.run(given()):  # type: ignore[arg-type]  # see BatchModel
                    taken.popleft().future.set_result(result)
            except Exception as error:
                self._fail(taken, error)
            taken.clear()

    def _something_waits(self) -> bool:
        """Waits until it does; False once closed and drained."""
        with self._changed:
            self._changed.wait_for(lambda: self._urgent or self._others or self._closed)
            return bool(self._urgent or self._others)

    def _take_together(self) -> list[_Request[Asked, Result]]:
        """What came first, callers whole: one's short requests would else wait for others' long ones."""
        taken: list[_Request[Asked, Result]] = []
        with self._changed:
            waiting = self._urgent or self._others
            while waiting and not (len(taken) >= TOGETHER and taken[-1].last):
                taken.append(waiting.popleft())
        return taken

    def _next_window(self) -> list[_Request[Asked, Result]]:
        """What to do next, urgent ones first; empty once closed and drained."""
        return self._take(self._urgent or self._others) if self._something_waits() else []

    def _take(self, waiting: deque[_Request[Asked, Result]]) -> list[_Request[Asked, Result]]:
        with self._changed:  # a Condition's lock may be taken again by its holder
            return [waiting.popleft() for _ in range(min(self._window, len(waiting)))]

    def _batches(
        self, model: BatchModel[Asked, Prepared, Result], window: Sequence[_Request[Asked, Result]]
    ) -> Iterator[list[tuple[_Request[Asked, Result], Prepared]]]:
        """The window's requests, tokenised, in batches of similar length, shortest first."""
        batch: list[tuple[_Request[Asked, Result], Prepared]] = []
        for pair in self._prepared(model, window):
            if batch and (len(batch) + 1) * len(pair[1]) > self._batch_size:
                yield batch
                batch = []
            batch.append(pair)
        if batch:
            yield batch

    def _prepared(
        self, model: BatchModel[Asked, Prepared, Result], requests: Sequence[_Request[Asked, Result]]
    ) -> list[tuple[_Request[Asked, Result], Prepared]]:
        """Those that are still wanted, tokenised, shortest first."""
        prepared: list[tuple[_Request[Asked, Result], Prepared]] = []
        for request in requests:
            if not request.future.cancelled():
                try:
                    prepared.append((request, model.prepare(request.asked)))
                except Exception as error:
                    self._fail([request], error)
        return sorted(prepared, key=lambda pair: len(pair[1]))

    def _run_batch(
        self,
        model: BatchModel[Asked, Prepared, Result],
        batch: Sequence[tuple[_Request[Asked, Result], Prepared]],
    ) -> None:
        wanted = [pair for pair in reversed(batch) if pair[0].future.set_running_or_notify_cancel()]
        if not wanted:
            return
        try:
            results = model.run([prepared for _, prepared in wanted])
            for (request, _), result in zip(wanted, results, strict=True):
                request.future.set_result(result)
        except Exception as error:
            self._fail([request for request, _ in wanted], error)

    def _fail(self, requests: Iterable[_Request[Asked, Result]], error: Exception) -> None:
        log.error("the %s failed", self._what, exc_info=error)
        for request in requests:
            if request.future.done() or not (
                request.future.running() or request.future.set_running_or_notify_cancel()
            ):
                continue
            failure = ModelUnavailable(f"The {self._what} failed: {error}")
            failure.__cause__ = error
            request.future.set_exception(failure)
