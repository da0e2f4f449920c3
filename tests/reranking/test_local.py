"""One owner of a model: callers at once, deadlines, overload, odd passages, broken numbers."""

from __future__ import annotations

import asyncio
import itertools
import math
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence

import pytest

from engine.errors import ModelUnavailable, Unavailable
from engine.inference.shared import Loading
from engine.reranking.base import RerankerState, Scores
from engine.reranking.cascade import Cascade
from engine.reranking.local import CHARACTERS, LocalModel, LocalReranker, own_model
from engine.reranking.stand_in import StandIn

from .conftest import order, passages

pytestmark = pytest.mark.anyio
_keys = itertools.count()


class Gated:
    """Scores a passage by its first number; stops before a passage that holds "wait"."""

    depth, note = 20, ""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.reached = threading.Event()
        self.batches: list[int] = []
        self.longest = 0

    def prepare(self, asked: tuple[str, str]) -> str:
        self.longest = max(self.longest, len(asked[1]))
        return asked[1]

    def run(self, batch: Sequence[str]) -> list[float]:
        self.batches.append(len(batch))
        if any("wait" in text for text in batch):
            self.reached.set()
            assert self.gate.wait(20)
        if any("broken" in text for text in batch):
            return [math.nan] * len(batch)
        return [float(next(word for word in text.split() if word.isdigit())) for text in batch]


class Ahead(Gated):
    """Takes passages one by one, two ahead of what it says, and stops at one that holds "wait"."""

    reads_ahead = True

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[str] = []

    def run(self, given: Iterable[str]) -> Iterator[float]:  # type: ignore[override]
        held: list[str] = []
        for text in given:
            held.append(text)
            self.taken.append(text)
            if "wait" in text:
                self.reached.set()
                assert self.gate.wait(20)
            if "breaks" in text:
                raise RuntimeError("out of luck")
            if len(held) > 2:
                yield from super().run([held.pop(0)])
        for text in held:
            yield from super().run([text])


@pytest.fixture
def model() -> Gated:
    return Gated()


@pytest.fixture
async def make(model: Gated) -> AsyncIterator[Callable[..., LocalReranker]]:
    made: list[LocalReranker] = []

    def load(loading: Loading) -> Gated:
        return model

    def build(timeout: float = 20.0, batch_size: int = 10_000, load: object = load) -> LocalReranker:
        local = LocalModel("gated", next(_keys), load, batch_size, scale=2.0, depth=5)  # type: ignore[arg-type]
        made.append(LocalReranker(local, timeout_seconds=timeout))
        return made[-1]

    yield build
    model.gate.set()
    for reranker in made:
        await reranker.aclose()


class BuiltIn:
    name, depth = "built-in", 30

    async def score(self, question: str, given: Sequence[object]) -> Scores:
        return Scores(tuple(float(-n) for n in range(len(given))), 1.0, self.name)

    def state(self) -> RerankerState:
        return RerankerState()

    async def aclose(self) -> None: ...


async def test_callers_at_once_share_batches_and_get_their_own_scores(
    make: Callable[..., LocalReranker], model: Gated
) -> None:
    reranker = make()
    await reranker.loaded()
    assert reranker.depth == 20
    first = asyncio.create_task(reranker.score("q", passages("wait 1")))
    await asyncio.to_thread(model.reached.wait, 10)
    others = [
        asyncio.create_task(reranker.score("q", passages(f"say {n}", f"say {n + 1}"))) for n in range(8)
    ]
    while reranker.state().waiting < 17:
        await asyncio.sleep(0.005)
    model.gate.set()
    assert [(await task).values for task in others] == [(float(n), n + 1.0) for n in range(8)]
    assert (await first).values == (1.0,)
    assert model.batches == [1, 16]
    assert reranker.state().waiting == 0


async def test_a_model_that_reads_ahead_is_fed_by_all_callers_in_turn_and_not_with_what_nobody_wants(
    make: Callable[..., LocalReranker],
) -> None:
    model = Ahead()
    reranker = make(load=lambda loading: model)
    await reranker.loaded()
    first = asyncio.create_task(reranker.score("q", passages("wait 1", "say 2")))
    await asyncio.to_thread(model.reached.wait, 10)
    callers = [
        asyncio.create_task(reranker.score("q", passages(*(f"say {n} {'x' * i}" for i in range(9)))))
        for n in (3, 4, 5)
    ]
    while reranker.state().waiting < 2 + 27:
        await asyncio.sleep(0.005)
    callers[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await callers[1]
    model.gate.set()
    assert [(await task).values for task in (first, callers[0], callers[2])] == [(1, 2), (3,) * 9, (5,) * 9]
    taken = [next(filter(str.isdigit, text.split())) for text in model.taken]
    assert taken == ["1", "2", *"333333333", *"555555555"]
    assert len(model.taken[2]) > len(model.taken[10]), "a caller's longest come first"
    assert reranker.state().waiting == 0
    assert reranker._shared.seconds_each > 0


async def test_where_a_model_that_reads_ahead_breaks_the_rest_is_served_all_the_same(
    make: Callable[..., LocalReranker],
) -> None:
    model = Ahead()
    reranker = make(load=lambda loading: model)
    await reranker.loaded()
    first = asyncio.create_task(reranker.score("q", passages("wait 1")))
    await asyncio.to_thread(model.reached.wait, 10)
    broken = asyncio.create_task(reranker.score("q", passages("a longer one that breaks", "say 2")))
    others = asyncio.create_task(reranker.score("q", passages(*(f"say {n}" for n in range(9)))))
    while reranker.state().waiting < 12:
        await asyncio.sleep(0.005)
    model.gate.set()
    with pytest.raises(Unavailable, match="out of luck"):
        await first
    scores = await broken
    assert scores.values == (None, 2.0)
    assert "out of luck" in scores.notice
    assert (await others).values == tuple(range(9))


async def test_an_expired_deadline_gives_what_is_scored_and_marks_the_rest(
    make: Callable[..., LocalReranker], model: Gated
) -> None:
    reranker = make(timeout=0.5, batch_size=1)
    await reranker.loaded()
    scores = await reranker.score("q", passages("a long passage to wait for 2", "say 7"))
    assert scores.values == (None, 7.0)
    assert scores.notice == "1 of 2 passages got no score from gated: it did not finish within 0.5 s."


async def test_past_the_load_budget_the_built_in_serves_and_says_so(
    make: Callable[..., LocalReranker], model: Gated
) -> None:
    inner = make(timeout=5.0)
    reranker = StandIn(inner, BuiltIn)
    await inner.loaded()
    inner._shared.seconds_each = 1.0  # a slow machine
    waiting = asyncio.create_task(inner.score("q", passages("wait 1")))
    await asyncio.to_thread(model.reached.wait, 10)
    scores = await reranker.score("q", passages(*(f"say {n}" for n in range(6))))
    assert scores.served_by == "built-in"
    assert scores.notice == "The reranker gated has too much to do. Ordered by built-in instead."
    model.gate.set()
    assert (await waiting).values == (1.0,)


async def test_while_it_loads_or_has_failed_the_built_in_serves(make: Callable[..., LocalReranker]) -> None:
    release = threading.Event()

    def load(loading: Loading) -> Gated:
        loading.report("halfway")
        assert release.wait(20)
        raise ModelUnavailable("No weights.", hint="Put some there.")

    inner = make(load=load)
    reranker = StandIn(inner, BuiltIn)
    scores = await reranker.score("q", passages("say 1", "say 2"))
    assert (scores.served_by, scores.values) == ("built-in", (0.0, -1.0))
    assert "still being loaded" in scores.notice
    while inner.state().why != "halfway":
        await asyncio.sleep(0.005)
    state = reranker.state()
    assert (state.status, state.served_by, reranker.depth) == ("loading", "built-in", 30)
    release.set()
    await inner.loaded()
    failed = reranker.state()
    assert (failed.status, failed.why) == ("failed", "No weights. Put some there.")
    assert "cannot serve: No weights." in (await reranker.score("q", passages("say 1"))).notice
    assert own_model(reranker) is inner


async def test_without_a_stand_in_the_error_reaches_the_caller(make: Callable[..., LocalReranker]) -> None:
    with pytest.raises(ModelUnavailable):
        await StandIn(make(), lambda: None).score("q", passages("say 1"))


async def test_numbers_that_are_none_are_marked(make: Callable[..., LocalReranker]) -> None:
    reranker = make(batch_size=8)
    await reranker.loaded()
    scores = await reranker.score("q", passages("broken 1", "say 2"))
    assert scores.values == (None, 2.0)
    assert "the model gave no number" in scores.notice
    with pytest.raises(Unavailable, match="the model gave no number"):
        await reranker.score("q", passages("broken 1"))


async def test_nothing_to_score_needs_no_model(make: Callable[..., LocalReranker]) -> None:
    reranker = make()
    assert (await reranker.score("q", [])).values == ()
    for question, texts in (("", ("say 1",)), ("q", ("", " \n"))):
        scores = await reranker.score(question, passages(*texts))
        assert set(scores.values) == {None}
        assert "there is no text to score" in scores.notice
    assert reranker.state().status == "idle"


async def test_endless_passages_are_cut(make: Callable[..., LocalReranker], model: Gated) -> None:
    reranker = make()
    await reranker.loaded()
    assert (await reranker.score("q", passages("9 " + "dài " * 25_000))).values == (9.0,)
    assert model.longest <= CHARACTERS + 2


class Reversing:
    """Likes later passages; knows what it was given."""

    name, depth = "strong", 5

    def __init__(self, served_by: str = "strong", fails: bool = False) -> None:
        self._served_by, self._fails = served_by, fails
        self.given: list[str] = []

    async def score(self, question: str, given: Sequence[object]) -> Scores:
        if self._fails:
            raise Unavailable("strong is away.")
        self.given = [passage.text for passage in given]  # type: ignore[attr-defined]
        return Scores(tuple(float(text.split()[-1]) for text in self.given), 0.1, self._served_by, "odd")

    def state(self) -> RerankerState:
        return RerankerState("loading", "soon")

    async def aclose(self) -> None: ...


async def test_the_cascades_strong_one_reads_the_best_few_only() -> None:
    strong = Reversing()
    cascade = Cascade({"built-in": BuiltIn(), "strong": strong}.get, "strong", 3)
    scores = await cascade.score("q", passages(*(f"number {n}" for n in range(8))))
    assert strong.given == ["number 0", "number 1", "number 2"]
    assert order(scores.values) == [2, 1, 0, 3, 4, 5, 6, 7]
    assert (scores.served_by, scores.scale) == ("cascade", 1.0)
    assert cascade.state().status == "loading"


@pytest.mark.parametrize("strong", [Reversing(fails=True), Reversing("built-in")])
async def test_without_the_strong_one_the_cheap_order_stands_and_is_marked(strong: Reversing) -> None:
    cascade = Cascade({"built-in": BuiltIn(), "strong": strong}.get, "strong", 3)
    scores = await cascade.score("q", passages(*(f"number {n}" for n in range(5))))
    assert (scores.served_by, scores.scale) == ("built-in", 1.0)
    assert order(scores.values) == [0, 1, 2, 3, 4]
    assert scores.notice in ("strong is away.", "odd")
