"""Passages graded or ranked by a language model behind an OpenAI-compatible endpoint.

Graded one by one, as many at once as allowed, or ranked together in one request. Of more
passages than one request holds, a window moves from the last to the first and carries the best
ones along (Sun et al. 2023, "Is ChatGPT good at search?", RankGPT).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from engine.answering.language_model import LanguageModel, ModelUse
from engine.documents.model import Passage
from engine.errors import LanguageModelUnavailable
from engine.reranking.base import RerankerState, Scores
from engine.reranking.options import RerankerOptions
from engine.reranking.prompts import BEST_GRADE, grade_messages, rank_messages

GRADE_SCALE = 1.5  # grades
RANK_SCALE = 0.15  # of the whole list: its order counts about twice as much as the retrieval's
WINDOW, STEP = 20, 10  # passages, as in the paper
_HOPELESS = 3  # failures without one success after which nothing more is sent

_NO_KEY = "The openai reranker needs a key."
_SET_KEY = "Set OPENAI_API_KEY, or OPENAI_BASE_URL for an endpoint of your own."


def _in_range(grade: float) -> float:
    if not 0 <= grade <= BEST_GRADE:
        raise ValueError(f"not a grade from 0 to {BEST_GRADE}")
    return grade


class _Grade(BaseModel):
    model_config = ConfigDict(extra="forbid")

    score: Annotated[float, AfterValidator(_in_range)]


class _Ranking(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ranking: list[int]


@dataclass(slots=True, eq=False)
class _Run:
    """One question: what its passages got so far. left: those not yet asked about."""

    values: list[float | None]
    left: int
    failures: int = 0
    why: str = ""
    faults: set[str] = field(default_factory=set)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = 0.0

    def spend(self, use: ModelUse) -> None:
        self.prompt_tokens += use.prompt_tokens
        self.completion_tokens += use.completion_tokens
        if self.cost_usd is not None:
            self.cost_usd = None if use.cost_usd is None else self.cost_usd + use.cost_usd

    def fail(self, error: LanguageModelUnavailable) -> None:
        self.failures += 1
        self.why = error.message


class OpenAIReranker:
    """A Reranker. Its requests at one time are bounded over all questions, which take turns."""

    name = "openai"

    def __init__(self, options: RerankerOptions) -> None:
        self._listwise = options.openai_listwise
        self._scale = RANK_SCALE if self._listwise else GRADE_SCALE
        self.depth = WINDOW if self._listwise else 10
        self._timeout = options.openai_timeout_seconds
        self._slots = asyncio.Semaphore(options.openai_max_workers)
        self._workers = options.openai_max_workers if options.openai_parallel else 1
        self._runs: set[_Run] = set()
        self._model: LanguageModel | None = None
        if options.openai_api_key or options.openai_base_url:
            self._model = LanguageModel(
                model=options.openai_model,
                api_key=options.openai_api_key or "none",
                base_url=options.openai_base_url,
                timeout_seconds=options.openai_timeout_seconds,
                max_retries=options.openai_max_retries,
            )

    async def score(self, question: str, passages: Sequence[Passage]) -> Scores:
        """Grades from 0 to 10, or places from 1 (the first) to 0 (the last).

        None for what the time did not suffice for, what failed and what is empty; then the
        notice says so. Raises LanguageModelUnavailable where nothing was scored.
        """
        model = self._model
        if model is None:
            raise LanguageModelUnavailable(_NO_KEY, hint=_SET_KEY)
        asked = [i for i, passage in enumerate(passages) if passage.text.strip()] if question.strip() else []
        run = _Run([None] * len(passages), len(asked))
        if not asked:
            run.why = "There is no text to score."
            return Scores(tuple(run.values), self._scale, self.name, self._notice(run))
        work = self._rank if self._listwise else self._grade
        self._runs.add(run)
        try:
            async with asyncio.timeout(self._timeout):
                await work(model, question, passages, asked, run)
        except TimeoutError:
            run.why = f"The language model {model.name} did not answer within {self._timeout:g} s."
        finally:
            self._runs.discard(run)
        if run.faults and not run.why:
            run.why = f"The ranking by {model.name} {' and '.join(sorted(run.faults))}."
        if all(value is None for value in run.values):
            raise LanguageModelUnavailable(run.why, hint="Another reranker can be chosen meanwhile.")
        return Scores(
            tuple(run.values),
            self._scale,
            self.name,
            self._notice(run),
            run.prompt_tokens,
            run.completion_tokens,
            run.cost_usd,
        )

    def state(self) -> RerankerState:
        """Failed without a key; whether the endpoint answers shows only when it is asked."""
        if self._model is None:
            return RerankerState("failed", f"{_NO_KEY} {_SET_KEY}")
        return RerankerState(waiting=sum(run.left for run in self._runs))

    async def aclose(self) -> None:
        """Close the connections."""
        if self._model is not None:
            await self._model.aclose()

    async def _grade(
        self, model: LanguageModel, question: str, passages: Sequence[Passage], asked: list[int], run: _Run
    ) -> None:
        """One request a passage."""
        todo = iter(asked)

        async def work() -> None:
            for i in todo:
                # A question queues with no more than its workers: later ones need not wait for all of it.
                async with self._slots:
                    if run.failures >= _HOPELESS and all(value is None for value in run.values):
                        return
                    run.left -= 1
                    try:
                        reply = await model.complete(
                            grade_messages(question, passages[i]), _Grade, spent=run.spend
                        )
                    except LanguageModelUnavailable as error:
                        run.fail(error)
                    else:
                        run.values[i] = reply.score

        await asyncio.gather(*(work() for _ in range(min(self._workers, len(asked)))))

    async def _rank(
        self, model: LanguageModel, question: str, passages: Sequence[Passage], asked: list[int], run: _Run
    ) -> None:
        """One request a window, the last passages first."""
        order, told = list(asked), set[int]()
        for start in _windows(len(order)):
            window = order[start : start + WINDOW]
            try:
                async with self._slots:
                    run.left = start
                    messages = rank_messages(question, [passages[i] for i in window])
                    reply = await model.complete(messages, _Ranking, spent=run.spend)
            except LanguageModelUnavailable as error:
                run.fail(error)
                continue
            ranked = [window[n - 1] for n in dict.fromkeys(reply.ranking) if 1 <= n <= len(window)]
            run.faults |= _faults(reply.ranking, len(window))
            told = (told - set(window)) | set(ranked)
            moved = iter(ranked)
            order[start : start + WINDOW] = [next(moved) if i in told else i for i in window]
            last = max(len(order) - 1, 1)
            for place, i in enumerate(order):
                run.values[i] = 1 - place / last if i in told else None

    def _notice(self, run: _Run) -> str:
        missing = sum(value is None for value in run.values)
        if missing:
            why = run.why or "There is no text in them."
            return f"{missing} of {len(run.values)} passages got no score from {self.name}: {why}"
        return run.why if run.faults else ""


def _windows(count: int) -> Iterator[int]:
    """Starts, from the last passages to the first."""
    start = max(0, count - WINDOW)
    yield start
    while start > 0:
        start = max(0, start - STEP)
        yield start


def _faults(ranking: Sequence[int], count: int) -> set[str]:
    """What is wrong with a ranking of passages 1 to `count`."""
    known = [n for n in ranking if 1 <= n <= count]
    faults = {
        "names passages that do not exist": len(known) < len(ranking),
        "names some twice": len(set(known)) < len(known),
        "leaves some out": len(set(known)) < count,
    }
    return {fault for fault, found in faults.items() if found}
