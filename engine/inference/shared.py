"""One copy of a model in this process, however many ask for it, from however many loops."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, Generic, Literal, Protocol

from engine.errors import DossierError, ModelUnavailable
from engine.inference.worker import WINDOW, Asked, AskedIn, BatchModel, Prepared, Result, ResultOut, Worker

RETRY_SECONDS = 300.0  # after which a model that could not be loaded is tried again
_SPEED_WEIGHT = 0.2  # of the latest batch in the running mean
_TIMED = 8  # results, of a model that reads ahead

Status = Literal["idle", "loading", "ready", "failed"]
log = logging.getLogger(__name__)


class Stopped(ModelUnavailable):
    """Loading was given up because nobody wants the model any more."""


class Loading:
    """What a model that is being loaded tells, and how it is stopped."""

    def __init__(self) -> None:
        self.progress = ""
        self._lock = threading.Lock()
        self._child: subprocess.Popen[str] | None = None
        self._stopped = False

    def report(self, progress: str) -> None:
        """Say in a few words what is being done."""
        self.progress = progress

    def run(self, command: Sequence[str]) -> str:
        """Run a child process whose lines are the progress; returns the last one.

        What takes much memory is done there, so that this process never has it.
        Raises ModelUnavailable with the child's last words on stderr; Stopped.
        """
        with self._lock:
            if self._stopped:
                raise Stopped("It is no longer wanted.")
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        child = self._child
        said: list[str] = []
        listener = threading.Thread(target=lambda: said.extend(_tail(child)), daemon=True)
        listener.start()
        assert child.stdout is not None
        with child:
            for line in child.stdout:
                self.report(line.strip())
            listener.join()
        if self._stopped:
            raise Stopped("It is no longer wanted.")
        if child.returncode:
            killed = f"its preparation was ended by signal {-child.returncode}; is there too little memory?"
            raise ModelUnavailable(said[-1] if said and child.returncode > 0 else killed)
        return self.progress

    def stop(self) -> None:
        """End the child process, if one runs."""
        with self._lock:
            self._stopped = True
            if self._child is not None:
                self._child.kill()


def _tail(child: subprocess.Popen[str], lines: int = 20) -> list[str]:
    assert child.stderr is not None
    kept: list[str] = []
    for line in child.stderr:
        if line.strip():
            kept = [*kept[1 - lines :], line.strip()]
    return kept


class LoadedModel(BatchModel[AskedIn, Prepared, ResultOut], Protocol[AskedIn, Prepared, ResultOut]):
    """A model with what is to be known of it.

    note: what it lacks against what was asked for; usually empty.
    """

    note: str


class SharedModel(Generic[Asked, Prepared, Result]):
    """A model under a key: loaded in the background by whoever needs it first, owned by one worker.

    Made by `share`. Every method is safe in any thread.
    """

    def __init__(
        self,
        what: str,
        load: Callable[[Loading], LoadedModel[Asked, Prepared, Result]],
        *,
        batch_size: int,
        window: int = WINDOW,
    ) -> None:
        """batch_size, window: see Worker."""
        self._what = what
        self._load = load
        self._batches = {"batch_size": batch_size, "window": window}
        self._lock = threading.Lock()
        self._worker: Worker[Asked, Prepared, Result] | None = None
        self._loading = Loading()
        self._over: Future[None] = Future()  # the loading that is under way, or was last
        self._closed = False
        self._failed_at = 0.0
        self.holders = 0
        self.loads = 0
        self.status: Status = "idle"
        self.why = ""
        self.waiting = 0
        self.memory_bytes: int | None = None
        self.seconds_each = 0.0  # of one request, of late
        self.model: LoadedModel[Asked, Prepared, Result] | None = None

    @property
    def progress(self) -> str:
        return self._loading.progress

    def ensure(self) -> None:
        """Begin to load, unless that is done, under way, or failed a moment ago."""
        with self._lock:
            due = self.status == "failed" and time.monotonic() - self._failed_at > RETRY_SECONDS
            if not self._closed and (self.status == "idle" or due):
                self._begin()

    async def loaded(self) -> None:
        """Begin to load if that is due, and wait until it is done or has failed."""
        self.ensure()
        await asyncio.shield(asyncio.wrap_future(self._over))

    async def reload(self) -> None:
        """Let the model go and load it anew, as it now is on disk; `status` tells how that goes.

        What waits for it is finished first. One that is being loaded already is left alone.
        """
        with self._lock:
            if self._closed or self.status == "loading":
                return
            old, self._worker, self.model = self._worker, None, None
            self.status, self.why, self._over = "loading", "", Future()
        if old is not None:
            await old.aclose()
        with self._lock:
            if self._closed:
                self._over.set_result(None)
            else:
                self._begin()

    def submit(self, asked: Sequence[Asked]) -> list[Future[Result]]:
        """One future a request. Raises ModelUnavailable where it is not loaded, Unavailable where busy."""
        worker = self._worker
        if worker is None or self.status != "ready":
            raise ModelUnavailable(f"The {self._what} is not loaded.")
        futures = worker.submit(asked)
        with self._lock:
            self.waiting += len(futures)
        for future in futures:
            future.add_done_callback(self._answered)
        return futures

    async def aclose(self) -> None:
        """Stop loading, or finish what was asked and let the model go."""
        with self._lock:
            self._closed = True
            worker, self._worker, self.model = self._worker, None, None
            self._loading.stop()
        if worker is not None:
            await worker.aclose()

    def _begin(self) -> None:
        self.status, self.why = "loading", ""
        self._loading = loading = Loading()
        if self._over.done():
            self._over = Future()
        over = self._over
        self.loads += 1
        worker: Worker[Asked, Prepared, Result] = Worker(
            self._what, lambda: self._timed(loading), **self._batches
        )
        self._worker = worker
        worker.loaded.add_done_callback(lambda loaded: self._settled(worker, loaded))
        worker.loaded.add_done_callback(lambda _: over.set_result(None))
        worker.begin()

    def _timed(self, loading: Loading) -> _Timed[Asked, Prepared, Result]:
        before = _resident()
        model = self._load(loading)
        # A model on a GPU tells it: this process's memory does not show it.
        told: int | None = getattr(model, "memory_bytes", None)
        self.memory_bytes = max(0, _resident() - before) if told is None else told
        self.model = model
        return _Timed(model, self._took)

    def _settled(self, worker: Worker[Asked, Prepared, Result], loaded: Future[None]) -> None:
        error = loaded.exception()
        with self._lock:
            if self._worker is not worker:
                return
            if error is None:
                self.status, self.why = "ready", self.model.note if self.model is not None else ""
                return
            self._worker = None
            self.status, self._failed_at = "failed", time.monotonic()
            self.why = str(error) if isinstance(error, DossierError) else f"{error!r}"
        if not isinstance(error, Stopped):
            log.warning("The %s cannot be loaded: %s", self._what, error)

    def _took(self, requests: int, seconds: float) -> None:
        each = seconds / requests
        self.seconds_each += (_SPEED_WEIGHT if self.seconds_each else 1.0) * (each - self.seconds_each)

    def _answered(self, _: Future[Result]) -> None:
        with self._lock:
            self.waiting -= 1


class _Timed(Generic[Asked, Prepared, Result]):
    """A model whose batches are timed, or where it reads ahead every few results."""

    def __init__(
        self, model: BatchModel[Asked, Prepared, Result], took: Callable[[int, float], None]
    ) -> None:
        self.prepare = model.prepare
        self.reads_ahead = bool(getattr(model, "reads_ahead", False))
        self._model = model
        self._took = took

    def run(self, batch: Sequence[Prepared]) -> Iterator[Result]:
        started, untold = time.perf_counter(), 0
        for result in self._model.run(batch):
            yield result
            untold += 1
            if self.reads_ahead and untold == _TIMED:
                now = time.perf_counter()
                self._took(untold, now - started)
                started, untold = now, 0
        if untold:
            self._took(untold, time.perf_counter() - started)


_shared: dict[Hashable, SharedModel[Any, Any, Any]] = {}
_sharing = threading.Lock()


def share(
    key: Hashable, make: Callable[[], SharedModel[Asked, Prepared, Result]]
) -> SharedModel[Asked, Prepared, Result]:
    """The process's one model of that key, made if there is none; `give_back` it in the end."""
    with _sharing:
        model: SharedModel[Asked, Prepared, Result] | None = _shared.get(key)
        if model is None:
            model = _shared[key] = make()
        model.holders += 1
        return model


async def give_back(key: Hashable) -> None:
    """The last one who gives it back lets the model go."""
    with _sharing:
        model = _shared[key]
        model.holders -= 1
        if model.holders:
            return
        del _shared[key]
    await model.aclose()


def _resident() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)
