"""The corpus's generation: grows with every change that a search can see, so that no cache outlives one."""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.storage.tables import corpus


async def bump_generation(db: AsyncConnection, *, passage_count: int = 0, term_count: int = 0) -> None:
    """Note a change that search can see; the row stays locked until the transaction ends."""
    await db.execute(
        update(corpus).values(
            generation=corpus.c.generation + 1,
            passage_count=corpus.c.passage_count + passage_count,
            term_count=corpus.c.term_count + term_count,
        )
    )
