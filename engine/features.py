"""What was asked for and what is really running."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import text

from engine.errors import DatabaseUnavailable
from engine.reranking.base import Reranker
from engine.retrieval.vector import VectorIndex
from engine.settings import Settings
from engine.storage.database import Database


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature or setting. why: why `effective` differs from `asked`; empty if it does not."""

    name: str
    asked: str
    effective: str
    why: str = ""


async def observe(
    settings: Settings,
    database: Database,
    vectors: VectorIndex,
    rerankers: Mapping[str, Reranker | None],
    language_model: bool,
) -> list[Feature]:
    """Look at what is running: the database is asked, not the configuration."""
    asked_database = "PostgreSQL at DATABASE_URL" if settings.database_url else "embedded PostgreSQL"
    waiting = 0
    try:
        async with database.read() as db:
            version = (await db.execute(text("SHOW server_version"))).scalar_one()
            vector = (
                await db.execute(text("SELECT extversion FROM pg_extension WHERE extname = 'vector'"))
            ).scalar_one()
            waiting = len(await vectors.documents_missing(db))
        storage = Feature("database", asked_database, f"{asked_database}: {version}, pgvector {vector}")
    except DatabaseUnavailable as error:
        storage = Feature("database", asked_database, "not reachable", error.message)
    reranker = settings.default_reranker_type
    serving = rerankers.get(reranker)
    return [
        storage,
        Feature(
            "embedder",
            settings.embedder,
            settings.embedder,
            f"{waiting} documents are still being embedded; words alone find them until then."
            if waiting
            else "",
        ),
        Feature(
            "reranker",
            reranker,
            serving.name if serving else "none",
            "The embedder gives no token vectors." if serving is None and reranker != "none" else "",
        ),
        Feature(
            "language model",
            settings.openai_model if language_model else "none",
            settings.openai_model if language_model else "none: answers are quotes",
        ),
        Feature(
            "L1 cache",
            f"{settings.l1_cache_maxsize} entries",
            f"{settings.l1_cache_maxsize} entries" if settings.l1_cache_maxsize else "off",
        ),
    ]
