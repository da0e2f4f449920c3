"""Runs: rerankers over a question set, in the background, to be stopped and gone on with at any time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar
from uuid import uuid4

from engine.documents.model import DocumentFilter
from engine.errors import BadInput, DatabaseUnavailable, DossierError
from engine.evaluation.arms import contender, depth_of, run_arm
from engine.evaluation.measures import measure
from engine.evaluation.model import PerQuestion, RunReport, RunSummary, SetQuestion
from engine.evaluation.question_sets import QuestionSets, checked_name
from engine.evaluation.report import Arm, make_report
from engine.evaluation.run_store import Result, RunStore
from engine.observability.traffic import Traffic
from engine.reranking.base import Reranker
from engine.reranking.local import models_used, settled
from engine.retrieval.model import Candidate, Retrieval
from engine.retrieval.retriever import Retriever
from engine.storage.database import Database

log = logging.getLogger(__name__)

CLAIM_SECONDS = 15.0  # a process that has not said for so long that it works on a run has ended
YIELD_SECONDS = 2.0  # longest that a question of a run makes way for those of users
LOAD_SECONDS = 900.0  # longest wait for a model to load
AWAY_SECONDS = 300.0  # longest wait for the database to come back
_KEPT_REPORTS = 16

Outcome = TypeVar("Outcome")
Confidence = Callable[[str, Sequence[Candidate]], Awaitable[float]]


class Runs:
    """One run at a time per process, one question at a time, and users' questions first.

    confidence: that the candidates, best first, answer the question; as for users.
    settings: what is in force, to be kept with a run.
    """

    def __init__(
        self,
        database: Database,
        sets: QuestionSets,
        retriever: Retriever,
        rerankers: Mapping[str, Reranker | None],
        confidence: Confidence,
        traffic: Traffic,
        *,
        k: int,
        embedder: str,
    ) -> None:
        self._store = RunStore(database)
        self._sets = sets
        self._retriever = retriever
        self._rerankers = rerankers
        self._confidence = confidence
        self._traffic = traffic
        self._k = k
        self._embedder = embedder
        self._worker = uuid4()
        self._slot = asyncio.Semaphore(1)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._notes: dict[int, Callable[[], str]] = {}
        self._reports: dict[tuple[int, ...], tuple[tuple[int, int], RunReport]] = {}

    async def start(self, set_id: int, rerankers: Sequence[str], name: str = "") -> RunSummary:
        """Begin a run; returns at once. Raises BadInput where one of them cannot serve, NotFound."""
        chosen = [*dict.fromkeys(rerankers)]
        self._check(chosen)
        of = await self._sets.get(set_id)
        if not of.question_count:
            raise BadInput(f"“{of.name}” has no questions.", hint="Add some first.")
        if of.missing_count == of.record_count and of.record_count:
            raise BadInput(
                f"The documents of “{of.name}” are not here yet.", hint="Add them on the set's page first."
            )
        settings: dict[str, str | int] = {"candidates": self._k, "embedder": self._embedder}
        run_id = await self._store.create(
            checked_name(name) if name else _named(chosen), set_id, chosen, settings
        )
        return await self.resume(run_id)

    async def resume(self, run_id: int, *, without: Collection[str] = ()) -> RunSummary:
        """Go on with a run that was cancelled, failed or was interrupted by the end of its process.

        without: rerankers that it has from now on never had. Raises BadInput where none is left, or one
        of the others cannot serve.
        """
        summary = await self._store.get(run_id)
        left = [name for name in summary.rerankers if name not in without]
        self._check(left)
        if await self._store.claim(run_id, self._worker, CLAIM_SECONDS):
            if len(left) < len(summary.rerankers):
                own = summary.name != _named(summary.rerankers)
                await self._store.leave_only(run_id, left, summary.name if own else _named(left))
            task = asyncio.create_task(self._work(run_id), name=f"run {run_id}")
            self._tasks[run_id] = task
            task.add_done_callback(lambda done: self._forget(run_id, done))
        return await self.get(run_id)

    async def cancel(self, run_id: int) -> RunSummary:
        """Stop it, in whichever process; what it measured stays, and `resume` goes on from there."""
        await self._store.cancel(run_id)
        if (task := self._tasks.get(run_id)) is not None:
            task.cancel()
            await asyncio.wait([task])
        return await self.get(run_id)

    async def delete(self, run_id: int) -> None:
        """Hide it, and stop it; `restore` brings it back until it is purged."""
        await self.cancel(run_id)
        await self._store.delete(run_id)

    async def restore(self, run_id: int) -> None:
        """Undo `delete`."""
        await self._store.restore(run_id)

    async def rename(self, run_id: int, name: str) -> None:
        """Give it another name. Raises BadInput for an empty one."""
        await self._store.rename(run_id, checked_name(name))

    async def get(self, run_id: int) -> RunSummary:
        """One run as it is now. Raises NotFound."""
        return self._noted(await self._store.get(run_id))

    async def list(self, set_id: int | None = None) -> Sequence[RunSummary]:
        """Runs, the latest first; of one set, if given."""
        return [self._noted(summary) for summary in await self._store.list(set_id)]

    async def wait(self, run_id: int) -> RunSummary:
        """The run once this process no longer works on it."""
        if (task := self._tasks.get(run_id)) is not None:
            await asyncio.wait([task])
        return await self.get(run_id)

    async def report(self, run_ids: Sequence[int]) -> RunReport:
        """What runs over one set have measured so far, side by side. Raises BadInput, NotFound.

        Worked out once as far as the runs are, which takes a moment.
        """
        summaries = [await self.get(run_id) for run_id in dict.fromkeys(run_ids)]
        if len({summary.set_id for summary in summaries}) != 1:
            raise BadInput("Only runs over the same question set can be compared.")
        ids = tuple(summary.id for summary in summaries)
        state = await self._store.state(ids)
        known, report = self._reports.pop(ids, (None, None))
        if report is None or known != state:
            report = await asyncio.to_thread(make_report, summaries, await self._store.results(ids))
        self._reports[ids] = state, report
        while len(self._reports) > _KEPT_REPORTS:
            self._reports.pop(next(iter(self._reports)))
        return replace(report, summaries=tuple(summaries))

    async def questions(self, a: Arm, b: Arm, limit: int = 1_000) -> Sequence[PerQuestion]:
        """nDCG@10 of judged questions with two rerankers of runs, the largest difference first."""
        return await self._store.differences(a, b, limit)

    async def aclose(self) -> None:
        """Leave what runs; another process, or the next start, can go on with it."""
        tasks = dict(self._tasks)
        for task in tasks.values():
            task.cancel()
        if tasks:
            await asyncio.wait(tasks.values())
        for run_id in tasks:  # one that had not begun could not say so
            await self._settle(self._store.leave(run_id, self._worker))

    def _check(self, names: Sequence[str]) -> None:
        if not names:
            raise BadInput("No reranker was chosen.", hint="Choose at least one.")
        for name in names:
            if name not in self._rerankers:
                raise BadInput(
                    f"There is no reranker “{name}”.", hint=f"Choose from: {', '.join(self._rerankers)}."
                )
            state = contender(name, self._rerankers[name])
            if state.status == "failed":
                raise BadInput(f"The reranker {name} cannot serve now.", hint=state.why)

    def _noted(self, summary: RunSummary) -> RunSummary:
        note = self._notes.get(summary.id)
        return replace(summary, note=note()) if note else summary

    def _readiness(self, name: str) -> str:
        state = contender(name, self._rerankers[name])
        return f"{name} gets ready. {state.why if state.status == 'loading' else ''}".rstrip()

    def _forget(self, run_id: int, done: asyncio.Task[None]) -> None:
        if self._tasks.get(run_id) is done:
            del self._tasks[run_id]
            self._notes.pop(run_id, None)

    async def _work(self, run_id: int) -> None:
        """Measure until all is done, it is cancelled anywhere, or this process ends."""
        work = asyncio.current_task()
        assert work is not None
        keeping = asyncio.create_task(self._keep(run_id, work))
        try:
            self._notes[run_id] = lambda: "Waits for another run to end."
            async with self._slot:
                self._notes.pop(run_id, None)
                await self._measure(run_id)
            await self._store.finish(run_id, self._worker, "done")
        except asyncio.CancelledError:
            # Cancelled by hand it is no longer ours, and this changes nothing.
            await asyncio.shield(self._settle(self._store.leave(run_id, self._worker)))
            raise
        except DossierError as error:
            await self._settle(self._store.finish(run_id, self._worker, "failed", str(error)))
        except Exception:
            log.exception("Run %d failed", run_id)
            why = "Something went wrong; the server's log says what. What was measured is kept."
            await self._settle(self._store.finish(run_id, self._worker, "failed", why))
        finally:
            keeping.cancel()

    async def _settle(self, writing: Awaitable[None]) -> None:
        try:
            await writing
        except DossierError as error:
            log.warning("How a run ended could not be kept: %s", error)  # its claim ends by itself

    async def _keep(self, run_id: int, work: asyncio.Task[None]) -> None:
        while True:
            await asyncio.sleep(CLAIM_SECONDS / 5)
            try:
                if not await self._store.keep(run_id, self._worker, CLAIM_SECONDS):
                    work.cancel()
                    return
            except DossierError as error:
                log.info("Run %d goes on although it cannot say so: %s", run_id, error)

    async def _measure(self, run_id: int) -> None:
        summary = await self._store.get(run_id)
        filter = DocumentFilter(tags=(summary.tag,)) if summary.tag else DocumentFilter()
        todo = await self._store.todo(run_id)
        if not todo:
            return
        names = await self._store.judged_documents([question for question, _ in todo])
        await self._get_ready(run_id, summary.rerankers, todo[0][0].text, filter)
        for question, missing in todo:
            await self._traffic.lull(YIELD_SECONDS)
            arms = [name for name in summary.rerankers if name in missing]
            await self._through_outages(partial(self._one, run_id, question, arms, filter, names))

    async def _one(
        self,
        run_id: int,
        question: SetQuestion,
        arms: Sequence[str],
        filter: DocumentFilter,
        names: Mapping[int, str],
    ) -> None:
        found = await self._found(question.text, arms, filter)
        results: list[Result] = []
        for name in arms:
            arm = await run_arm(question.text, found, name, self._rerankers[name])
            arm = replace(arm, notice=f"{found.notice} {arm.notice}".strip())
            measures = await asyncio.to_thread(measure, question.judgments, arm.candidates, names)
            confidence = await self._confidence(question.text, arm.candidates)
            results.append(Result(question.id, arm, measures, confidence))
        await self._store.add(run_id, results)

    async def _found(self, question: str, arms: Sequence[str], filter: DocumentFilter) -> Retrieval:
        chosen = {name: self._rerankers[name] for name in arms}
        return await self._retriever.candidates(question, filter=filter, k=self._k, depth=depth_of(chosen))

    async def _get_ready(
        self, run_id: int, rerankers: Sequence[str], question: str, filter: DocumentFilter
    ) -> None:
        """Models are loaded and plans made before anything is timed. Raises BadInput where one cannot be."""
        found = await self._through_outages(lambda: self._found(question, rerankers, filter))
        for name in rerankers:
            reranker = self._rerankers[name]
            self._notes[run_id] = partial(self._readiness, name)
            try:
                async with asyncio.timeout(LOAD_SECONDS):
                    await settled(reranker)
            except TimeoutError:
                raise BadInput(f"{name} has not loaded within {LOAD_SECONDS / 60:g} minutes.") from None
            state = contender(name, reranker)
            if models_used(reranker) and state.status == "failed":
                raise BadInput(f"The reranker {name} cannot serve: {state.why}")
            await run_arm(question, found, name, reranker)
        self._notes.pop(run_id, None)

    async def _through_outages(self, work: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """Again, where the database was away meanwhile. Raises DatabaseUnavailable if it stays away."""
        until = time.monotonic() + AWAY_SECONDS
        while True:
            try:
                return await work()
            except DatabaseUnavailable:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(1.0)


def _named(rerankers: Sequence[str]) -> str:
    return checked_name((" against " if len(rerankers) == 2 else " · ").join(rerankers))
