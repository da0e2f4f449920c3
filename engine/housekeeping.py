"""What an open engine does by itself, now and then."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from engine.errors import DossierError

if TYPE_CHECKING:
    from engine.engine import Engine

log = logging.getLogger(__name__)

HOUSEKEEPING_SECONDS = 600.0


@asynccontextmanager
async def keeping_house(engine: Engine) -> AsyncIterator[None]:
    """Keep house for as long as the engine is open."""
    task = asyncio.create_task(_keep_house(engine), name="housekeeping")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _keep_house(engine: Engine) -> None:
    """Index what another embedder or a dead process left behind; purge what was deleted long enough ago."""
    indexing: UUID | None = None
    while True:
        try:
            jobs = engine.ingestion.snapshots()
            if not any(job.id == indexing and not job.finished for job in jobs):
                indexing = await _index(engine)
            await engine.purge()
        except DossierError as error:
            log.warning("Housekeeping is put off: %s", error)
        await asyncio.sleep(HOUSEKEEPING_SECONDS)


async def _index(engine: Engine) -> UUID | None:
    if not (behind := await engine.ingestion.behind()):
        return None
    log.info("%d documents are indexed anew; until then words alone may find them.", len(behind))
    return (await engine.ingestion.reindex(behind)).id
