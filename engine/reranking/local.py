"""A reranker whose model runs in this process: loaded in the background, one copy, one owner."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from engine.documents.model import Passage
from engine.errors import ModelUnavailable, Unavailable
from engine.inference.shared import LoadedModel, Loading, SharedModel, give_back, share
from engine.inference.worker import WINDOW, Prepared
from engine.reranking.base import Reranker, RerankerState, Scores
from engine.reranking.reading import readable

CHARACTERS = 4_000  # of a passage or a question; models read some 512 tokens of both
_LOADING = "The reranker {name} is still being loaded."


class PairModel(LoadedModel[tuple[str, str], Prepared, float], Protocol[Prepared]):
    """Scores pairs of a question and a passage; only its worker calls it.

    depth: how many passages of a question it is fast enough for, on the device it runs on.
    note: see LoadedModel.
    """

    depth: int


@dataclass(frozen=True, slots=True)
class LocalModel:
    """Where a reranker's model comes from.

    key: the same for what may be one copy. load: blocks, in the model's own thread; raises
    ModelUnavailable. batch_size: of its batches, in the unit of what it prepares.
    window: see Worker. scale: see `combine`. depth: until it is loaded.
    """

    name: str
    key: Hashable
    load: Callable[[Loading], PairModel[Any]]
    batch_size: int
    scale: float
    depth: int
    window: int = WINDOW


class LocalReranker:
    """A Reranker. Its requests wait in one queue with those of every other user of the model."""

    def __init__(self, model: LocalModel, *, timeout_seconds: float) -> None:
        self.name = model.name
        self._model = model
        self._timeout = timeout_seconds
        self._shared: SharedModel[tuple[str, str], Any, float] = share(
            model.key,
            lambda: SharedModel(
                f"reranker {model.name}", model.load, batch_size=model.batch_size, window=model.window
            ),
        )

    @property
    def depth(self) -> int:
        """How many it is fast enough for, on the device it runs on."""
        return int(getattr(self._shared.model, "depth", self._model.depth))

    def load(self) -> None:
        """Begin to load the model, if that has not begun; `state` tells how it goes."""
        self._shared.ensure()

    async def loaded(self) -> None:
        """Load the model, and wait until that is done or has failed."""
        await self._shared.loaded()

    async def reload(self) -> None:
        """Load the model anew, as it now is on disk; returns when that has begun."""
        await self._shared.reload()

    async def score(self, question: str, passages: Sequence[Passage]) -> Scores:
        """The model's scores.

        None for empty passages, for those that the time did not suffice for and where the model
        gave no number; then the notice says so. Begins to load the model if nobody has.
        Raises ModelUnavailable until it is loaded; Unavailable where too much waits already, or
        where nothing was scored in time.
        """
        values: list[float | None] = [None] * len(passages)
        asked = [i for i, passage in enumerate(passages) if passage.text.strip()] if question.strip() else []
        if not asked:
            return self._scores(values, "there is no text to score")
        self._shared.ensure()
        self._refuse_if_not_ready()
        self._refuse_if_overloaded(len(asked))
        pairs = [(question[:CHARACTERS], readable(passages[i], CHARACTERS)) for i in asked]
        futures = [asyncio.wrap_future(future) for future in self._shared.submit(pairs)]
        try:
            _, late = await asyncio.wait(futures, timeout=self._timeout)
        finally:
            for future in futures:
                future.cancel()  # what has not begun never will
        why = f"it did not finish within {self._timeout:g} s" if late else ""
        for place, future in zip(asked, futures, strict=True):
            values[place], failure = _value(future)
            why = failure or why
        scores = self._scores(values, why or "there is no text in them")
        if all(value is None for value in values):
            raise Unavailable(f"The reranker {self.name} scored nothing: {why}.")
        return scores

    def state(self) -> RerankerState:
        """Of the process's one copy of the model."""
        shared = self._shared
        why = shared.progress if shared.status == "loading" else shared.why
        memory = shared.memory_bytes if shared.status == "ready" else None
        return RerankerState(shared.status, why, shared.waiting, memory)

    async def aclose(self) -> None:
        """Give the model back."""
        await give_back(self._model.key)

    def _refuse_if_not_ready(self) -> None:
        shared = self._shared
        if shared.status == "failed":
            raise ModelUnavailable(f"The reranker {self.name} cannot serve: {shared.why}")
        if shared.status != "ready":
            raise ModelUnavailable(_LOADING.format(name=self.name))

    def _refuse_if_overloaded(self, more: int) -> None:
        """A question that finds nothing waiting is always served, as far as the time goes."""
        ahead = self._shared.waiting
        if ahead and (ahead + more) * self._shared.seconds_each > self._timeout:
            raise Unavailable(f"The reranker {self.name} has too much to do.", hint="Try again in a moment.")

    def _scores(self, values: Sequence[float | None], why: str) -> Scores:
        missing = sum(value is None for value in values)
        notice = f"{missing} of {len(values)} passages got no score from {self.name}: {why}."
        return Scores(tuple(values), self._model.scale, self.name, notice if missing else "")


def _value(future: asyncio.Future[float]) -> tuple[float | None, str]:
    """The score, or None and why there is none (empty if it was cancelled)."""
    if not future.done() or future.cancelled():
        return None, ""
    if error := future.exception():
        return None, str(error).rstrip(".")
    value = future.result()
    return (value, "") if math.isfinite(value) else (None, "the model gave no number")


def own_model(reranker: Reranker | None) -> LocalReranker | None:
    """The reranker with a model of its own that this one is or wraps, if there is one."""
    while reranker is not None and not isinstance(reranker, LocalReranker):
        reranker = getattr(reranker, "inner", None)
    return reranker


def models_used(reranker: Reranker | None) -> list[LocalReranker]:
    """Its own, and the one that reads some passages again, where there are such."""
    second: LocalReranker | None = None
    inner = reranker
    while inner is not None and second is None:
        second = getattr(inner, "second", None)
        inner = getattr(inner, "inner", None)
    return [model for model in (own_model(reranker), second) if model is not None]


async def settled(reranker: Reranker | None) -> None:
    """Load the models that a reranker has, and wait: a measurement of what stands in is none."""
    for model in models_used(reranker):
        await model.loaded()
