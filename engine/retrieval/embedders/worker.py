"""One thread that owns a model and works through everybody's requests in small batches."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence, Sized
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from engine.errors import DossierError, ModelUnavailable, Unavailable
from engine.retrieval.embedders.base import Embedding

WINDOW = 32  # requests sorted by length together; tokenising them takes a few milliseconds
GROUP = 64  # passages that one caller has waiting at a time
WAITING_LIMIT = 4096  # requests, of all callers

log = logging.getLogger(__name__)

Prepared = TypeVar("Prepared", bound=Sized)


class BatchModel(Protocol[Prepared]):
    """A model as its worker sees it; only the worker's thread calls it.

    The length of what `prepare` gives is its cost, in the unit of the worker's `batch_size`.
    """

    def prepare(self, text: str, is_query: bool) -> Prepared: ...

    def embed(self, batch: Sequence[Prepared]) -> list[Embedding]: ...


@dataclass(slots=True, eq=False)
class _Request:
    text: str
    is_query: bool
    future: Future[Embedding] = field(default_factory=Future)


class Worker(Generic[Prepared]):
    """Gathers concurrent requests into batches of similar length; questions go first.

    A batch holds at most `batch_size` (padded) in all, or one request. Passages never keep a
    question waiting for more than the batch that is running. Work of cancelled callers that has
    not begun is dropped. Memory does not grow with the number of callers.
    """

    def __init__(self, name: str, load: Callable[[], BatchModel[Prepared]], *, batch_size: int) -> None:
        self._name = name
        self._load = load
        self._batch_size = batch_size
        self._queries: deque[_Request] = deque()
        self._passages: deque[_Request] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._loaded: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name=f"embedder {name}", daemon=True)

    async def start(self) -> None:
        """Load the model, in its thread. Raises ModelUnavailable."""
        self._thread.start()
        try:
            await asyncio.shield(asyncio.wrap_future(self._loaded))
        except asyncio.CancelledError:
            self._close()
            raise

    async def embed(self, text: str, *, is_query: bool) -> Embedding:
        """Embed one text. Raises ModelUnavailable; Unavailable when closed or overloaded."""
        return await asyncio.wrap_future(self._submit([text], is_query)[0])

    async def embed_many(self, texts: Sequence[str]) -> list[Embedding]:
        """Embed passages, in order. Raises as `embed`."""
        embeddings: list[Embedding] = []
        for start in range(0, len(texts), GROUP):
            futures = self._submit(texts[start : start + GROUP], False)
            try:
                embeddings += await asyncio.gather(*map(asyncio.wrap_future, futures))
            finally:
                for future in futures:
                    future.cancel()
        return embeddings

    async def aclose(self) -> None:
        """Finish what was asked, then let the model go."""
        self._close()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)

    def _close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _submit(self, texts: Sequence[str], is_query: bool) -> list[Future[Embedding]]:
        requests = [_Request(text, is_query) for text in texts]
        with self._changed:
            if self._closed:
                raise Unavailable(f"The embedder {self._name} is closed.")
            if len(self._queries) + len(self._passages) + len(requests) > WAITING_LIMIT:
                raise Unavailable(
                    f"The embedder {self._name} has too much to do.", hint="Try again in a moment."
                )
            (self._queries if is_query else self._passages).extend(requests)
            self._changed.notify()
        return [request.future for request in requests]

    def _run(self) -> None:
        try:
            model = self._load()
        except DossierError as error:
            self._loaded.set_exception(error)
            return
        except Exception as error:
            log.exception("loading %s", self._name)
            failure = ModelUnavailable(f"The embedder {self._name} cannot be loaded: {error}")
            failure.__cause__ = error
            self._loaded.set_exception(failure)
            return
        self._loaded.set_result(None)
        while window := self._next_window():
            for batch in self._batches(model, window):
                if not window[0].is_query and (queries := self._take(self._queries)):
                    for ahead in self._batches(model, queries):
                        self._embed(model, ahead)
                self._embed(model, batch)

    def _next_window(self) -> list[_Request]:
        """What to do next, questions first; empty once closed and drained."""
        with self._changed:
            self._changed.wait_for(lambda: self._queries or self._passages or self._closed)
            return self._take(self._queries or self._passages)

    def _take(self, waiting: deque[_Request]) -> list[_Request]:
        with self._changed:  # a Condition's lock may be taken again by its holder
            return [waiting.popleft() for _ in range(min(WINDOW, len(waiting)))]

    def _batches(
        self, model: BatchModel[Prepared], window: Sequence[_Request]
    ) -> Iterator[list[tuple[_Request, Prepared]]]:
        """The window's requests, tokenised, in batches of similar length, shortest first."""
        prepared: list[tuple[_Request, Prepared]] = []
        for request in window:
            if not request.future.cancelled():
                try:
                    prepared.append((request, model.prepare(request.text, request.is_query)))
                except Exception as error:
                    self._fail([request], error)
        prepared.sort(key=lambda pair: len(pair[1]))
        batch: list[tuple[_Request, Prepared]] = []
        for pair in prepared:
            if batch and (len(batch) + 1) * len(pair[1]) > self._batch_size:
                yield batch
                batch = []
            batch.append(pair)
        if batch:
            yield batch

    def _embed(self, model: BatchModel[Prepared], batch: Sequence[tuple[_Request, Prepared]]) -> None:
        wanted = [pair for pair in batch if pair[0].future.set_running_or_notify_cancel()]
        if not wanted:
            return
        try:
            embeddings = model.embed([prepared for _, prepared in wanted])
            done = list(zip(wanted, embeddings, strict=True))
        except Exception as error:
            self._fail([request for request, _ in wanted], error)
            return
        for (request, _), embedding in done:
            request.future.set_result(embedding)

    def _fail(self, requests: Sequence[_Request], error: Exception) -> None:
        log.error("embedding with %s failed", self._name, exc_info=error)
        for request in requests:
            if request.future.done() or not (
                request.future.running() or request.future.set_running_or_notify_cancel()
            ):
                continue
            failure = ModelUnavailable(f"The embedder {self._name} failed: {error}")
            failure.__cause__ = error
            request.future.set_exception(failure)
