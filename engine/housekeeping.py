"""What an open engine does by itself, now and then."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

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
    with contextlib.suppress(DossierError):
        if behind := await engine.ingestion.behind():
            log.info("%d documents are indexed anew; until then words alone may find them.", len(behind))
            await engine.ingestion.reindex(behind)
    while True:
        try:
            await engine.purge()
        except DossierError as error:
            log.warning("Purging is put off: %s", error)
        await asyncio.sleep(HOUSEKEEPING_SECONDS)
