"""A share of real questions, scored by a challenger too, after they were answered and never before."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Mapping
from contextvars import Context
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import Float, Integer, cast, func, insert, select

from engine.access.principal import OPEN, Access, Principal, acting
from engine.answering.model import Answer
from engine.errors import BadInput, DossierError
from engine.evaluation.agreement import kendall_tau, overlap, rank_biased_overlap
from engine.evaluation.arms import run_arm
from engine.evaluation.measures import GIVEN
from engine.evaluation.model import Agreement, Thumbs
from engine.observability.traffic import Traffic
from engine.reranking.base import Reranker
from engine.retrieval.model import Retrieval
from engine.storage.database import Database
from engine.storage.tables import challenges, turns

log = logging.getLogger(__name__)

WAITING = 32  # questions kept until there is time for them
LULL_SECONDS = 30.0  # without a lull for so long, a question is dropped


@dataclass(frozen=True, slots=True)
class _Offer:
    answer: Answer
    retrieval: Retrieval
    turn_id: int | None
    asker: Principal  # in whose name the challenger reads


class Live:
    """What users ask, judged by a challenger. The answer is never waited for, nor waits.

    challenger: its name; empty scores nothing. share: of the questions, in [0, 1].
    """

    def __init__(
        self,
        database: Database,
        rerankers: Mapping[str, Reranker | None],
        traffic: Traffic,
        challenger: str,
        share: float,
        access: Access = OPEN,
    ) -> None:
        if challenger and challenger not in rerankers:
            raise BadInput(
                f"CHALLENGER_RERANKER={challenger!r}: there is no such reranker.",
                hint=f"Choose one of: {', '.join(rerankers)}.",
            )
        self._database = database
        self._rerankers = rerankers
        self._traffic = traffic
        self._access = access
        self.challenger = challenger
        self.share = share
        self._queue: asyncio.Queue[_Offer] = asyncio.Queue(WAITING)
        self._dropped = 0
        self._worker: asyncio.Task[None] | None = None

    def offer(self, answer: Answer, retrieval: Retrieval, turn_id: int | None) -> None:
        """Tell of an answered question; returns at once."""
        if not self.challenger or not retrieval.candidates or random.random() >= self.share:
            return
        if self._worker is None:
            # Nothing of the question that happens to be the first: neither its asker nor its trace.
            self._worker = asyncio.create_task(self._work(), name="challenger", context=Context())
        try:
            self._queue.put_nowait(_Offer(answer, retrieval, turn_id, self._access.principal()))
        except asyncio.QueueFull:
            self._dropped += 1

    async def drain(self) -> None:
        """Wait until all that was taken is scored: for tests."""
        await self._queue.join()

    async def agreement(self, days: float = 30.0) -> list[Agreement]:
        """How challengers ordered the questions of so many days, one entry a pair."""
        columns = challenges.c
        kept = columns.citations_kept
        scored = columns.error == ""
        statement = (
            select(
                columns.champion,
                columns.challenger,
                func.count().filter(scored).label("questions"),
                func.count().filter(~scored).label("failures"),
                func.sum(columns.dropped_before).label("dropped"),
                func.min(columns.at).label("since"),
                func.avg(cast(cast(columns.same_first, Integer), Float)).label("same_first"),
                func.avg(columns.overlap).label("overlap"),
                func.avg(columns.kendall).label("kendall"),
                func.avg(columns.rbo).label("rbo"),
                func.avg(kept).label("citations_kept"),
                func.avg(kept).filter(turns.c.vote == "up").label("citations_kept_up"),
                func.avg(kept).filter(turns.c.vote == "down").label("citations_kept_down"),
                func.percentile_cont(0.5)
                .within_group(columns.milliseconds)
                .filter(scored)
                .label("milliseconds"),
                func.avg(columns.cost_usd).label("cost_usd"),
            )
            .outerjoin(turns, turns.c.id == columns.turn_id)
            .where(columns.at > func.now() - timedelta(days=days))
            .group_by(columns.champion, columns.challenger)
            .order_by(func.max(columns.at).desc())
        )
        async with self._database.read() as db:
            rows = (await db.execute(statement)).mappings().all()
        return [Agreement(**row) for row in rows]

    async def thumbs(self, days: float = 30.0) -> list[Thumbs]:
        """Readers' votes on the answers of so many days, by the reranker that served them."""
        served = turns.c.answer["receipt"]["models"]["reranker"].astext.label("served")
        statement = (
            select(
                served,
                func.count(),
                func.count().filter(turns.c.vote == "up"),
                func.count().filter(turns.c.vote == "down"),
            )
            .where(turns.c.created_at > func.now() - timedelta(days=days), served.is_not(None))
            .group_by(served)
            .order_by(func.count().desc())
        )
        async with self._database.read() as db:
            return [Thumbs(*row) for row in await db.execute(statement)]

    async def aclose(self) -> None:
        """Drop what waits."""
        if self._worker is not None:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker

    async def _work(self) -> None:
        while True:
            offer = await self._queue.get()
            try:
                if await self._traffic.lull(LULL_SECONDS):
                    with acting(offer.asker):
                        await self._challenge(offer)
                else:
                    self._dropped += 1
            except DossierError as error:
                self._dropped += 1
                log.info("A challenge could not be kept: %s", error)
            except Exception:
                self._dropped += 1
                log.exception("A challenge failed")
            finally:
                self._queue.task_done()

    async def _challenge(self, offer: _Offer) -> None:
        retrieval = offer.retrieval
        found = replace(
            retrieval,
            candidates=tuple(replace(c, reranked=None, score=c.fused) for c in retrieval.candidates),
        )
        question = offer.answer.standalone_question
        arm = await run_arm(question, found, self.challenger, self._rerankers[self.challenger])
        champion = [c.passage.id for c in retrieval.candidates]
        challenger = [c.passage.id for c in arm.candidates]
        cited = {citation.passage.id for citation in offer.answer.citations}
        row: dict[str, object] = {
            "turn_id": offer.turn_id,
            "question": question,
            "champion": retrieval.reranker,
            "challenger": self.challenger,
            "milliseconds": arm.milliseconds,
            "cost_usd": arm.cost_usd,
            "error": arm.error,
            "dropped_before": self._dropped,
        }
        if not arm.error:
            row |= {
                "same_first": champion[0] == challenger[0],
                "overlap": overlap(champion, challenger),
                "kendall": kendall_tau(champion, challenger),
                "rbo": rank_biased_overlap(champion, challenger),
                "citations_kept": len(cited & {*challenger[:GIVEN]}) / len(cited) if cited else None,
            }
        async with self._database.write() as db:
            await db.execute(insert(challenges).values(row))
        self._dropped -= int(str(row["dropped_before"]))
