"""The documents that a question set brings along, added to the others under a tag of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import exists, select

from engine.documents.ingestion import Ingestion, SplitDocument
from engine.documents.passages import split_passages
from engine.errors import DossierError
from engine.evaluation.collection import plain_text
from engine.evaluation.question_sets import tag_of
from engine.observability.traffic import Traffic
from engine.storage.database import Database
from engine.storage.tables import documents, set_records

log = logging.getLogger(__name__)

BATCH = 16  # documents embedded together
YIELD_SECONDS = 2.0  # longest that a batch makes way for questions


@dataclass(frozen=True, slots=True)
class Adding:
    """How far it is. done, total: documents. error: why it stopped; empty while it runs or is done."""

    done: int
    total: int
    running: bool
    error: str = ""


class SetDocuments:
    """Adds in the background; what is there already is not added again, so it can be begun anew."""

    def __init__(self, database: Database, ingestion: Ingestion, traffic: Traffic) -> None:
        self._database = database
        self._ingestion = ingestion
        self._traffic = traffic
        self._told: dict[int, Adding] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def add(self, set_id: int) -> Adding:
        """Begin, or go on where it was stopped; returns at once."""
        task = self._tasks.get(set_id)
        if task is None or task.done():
            missing = await self._missing(set_id)
            self._told[set_id] = Adding(0, len(missing), running=True)
            work = self._work(set_id, missing)
            self._tasks[set_id] = asyncio.create_task(work, name=f"documents of question set {set_id}")
        return self._told[set_id]

    def progress(self, set_id: int) -> Adding | None:
        """Of what this process adds or added; None for nothing."""
        return self._told.get(set_id)

    async def cancel(self, set_id: int) -> None:
        """Stop; what was added stays, and `add` goes on from there."""
        if (task := self._tasks.get(set_id)) is not None:
            task.cancel()
            await asyncio.wait([task])

    async def wait(self, set_id: int) -> Adding | None:
        """How it went, once it is over."""
        if (task := self._tasks.get(set_id)) is not None:
            await asyncio.wait([task])
        return self.progress(set_id)

    async def aclose(self) -> None:
        """Stop all."""
        for set_id in [*self._tasks]:
            await self.cancel(set_id)

    async def _missing(self, set_id: int) -> Sequence[SplitDocument]:
        there = exists().where(
            documents.c.file_name == set_records.c.file_name, documents.c.deleted_at.is_(None)
        )
        statement = (
            select(set_records.c.file_name, set_records.c.title, set_records.c.text)
            .where(set_records.c.set_id == set_id, ~there)
            .order_by(set_records.c.number)
        )
        async with self._database.read() as db:
            rows = (await db.execute(statement)).all()
        return await asyncio.to_thread(lambda: [as_document(*row) for row in rows])

    async def _work(self, set_id: int, missing: Sequence[SplitDocument]) -> None:
        done, error = 0, ""
        try:
            for start in range(0, len(missing), BATCH):
                await self._traffic.lull(YIELD_SECONDS)
                batch = missing[start : start + BATCH]
                await self._ingestion.ingest_passages(batch, [tag_of(set_id)])
                done += len(batch)
                self._told[set_id] = Adding(done, len(missing), running=True)
        except DossierError as failure:
            error = str(failure)
        except asyncio.CancelledError:
            error = "Stopped."
            raise
        except Exception:
            log.exception("Adding the documents of question set %d failed", set_id)
            error = "Something went wrong; the server's log says what."
        finally:
            self._told[set_id] = Adding(done, len(missing), running=False, error=error)


def as_document(file_name: str, title: str, text: str) -> SplitDocument:
    """A record as it would be ingested from a text file; one without text is its title."""
    return file_name, title.replace("_", " "), split_passages(plain_text(text or title))
