"""What is well and what is not, by trying it; what to do about it. It changes nothing.

Every check stands alone: a database that is gone fails its own checks and no others.
"""

from __future__ import annotations

from contextlib import AsyncExitStack

from engine.doctor.check import Check, Parts, run
from engine.doctor.contradictions import check_settings
from engine.doctor.machine import check_confinement, check_disk, check_memory
from engine.doctor.models import check_embedder, check_language_model, check_rerankers
from engine.doctor.redis import check_redis
from engine.doctor.storage import check_storage
from engine.doctor.tracing import check_collector
from engine.errors import DatabaseUnavailable, DossierError
from engine.observability.metrics import Metrics
from engine.opening import open_database, open_redis, open_rerankers
from engine.options import embedder_options, reranker_options
from engine.reranking import RerankerParts
from engine.reranking.base import Reranker
from engine.reranking.tokens import PassageTokens
from engine.retrieval.embedders import open_embedder
from engine.retrieval.embedders.base import Embedder
from engine.retrieval.vector import VectorIndex
from engine.settings import Settings
from engine.storage.database import Database
from engine.storage.pgbouncer import PgBouncerConsole

__all__ = ["Check", "Parts", "diagnose", "diagnose_alone"]

_LOOKS = {
    "database": check_storage,
    "Redis": check_redis,
    "embedder": check_embedder,
    "reranker": check_rerankers,
    "language model": check_language_model,
    "disk": check_disk,
    "memory": check_memory,
    "confinement": check_confinement,
    "traces": check_collector,
    "settings": check_settings,
}


async def diagnose(parts: Parts) -> list[Check]:
    """Every check, in a fixed order. Raises nothing."""
    return await run(_LOOKS, parts)


async def diagnose_alone(settings: Settings) -> list[Check]:
    """The same where no engine runs: what can be opened is opened, and closed again."""
    async with AsyncExitStack() as stack:
        missing: dict[str, DossierError] = {}
        database: Database | None = None
        embedder: Embedder | None = None
        rerankers: dict[str, Reranker | None] = {}
        home = settings.dossier_home.expanduser()
        try:
            database = await open_database(stack, settings)
        except (DossierError, OSError) as error:
            missing["database"] = _told(error, "The embedded database does not start")
        try:
            embedder = await open_embedder(settings.embedder, embedder_options(settings, home))
            stack.push_async_callback(embedder.aclose)
        except (DossierError, OSError) as error:
            missing["embedder"] = _told(error, "The embedder cannot be loaded")
        if embedder is not None and database is not None:
            vectors = VectorIndex(embedder.name, embedder.dimension)
            tokens = PassageTokens(database, vectors, embedder) if embedder.token_dimension else None
            made = RerankerParts(embedder.embed_query, tokens, reranker_options(settings, home))
            rerankers = open_rerankers(stack, made, Metrics())
        parts = Parts(
            settings,
            database,
            embedder,
            rerankers,
            await open_redis(stack, settings),
            PgBouncerConsole(settings.pgbouncer_url) if settings.use_pgbouncer else None,
            running=False,
            missing=missing,
        )
        return await diagnose(parts)


def _told(error: DossierError | OSError, what: str) -> DossierError:
    return error if isinstance(error, DossierError) else DatabaseUnavailable(f"{what}: {error.strerror}.")
