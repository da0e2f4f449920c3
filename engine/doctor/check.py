"""What a check says, and how checks are run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from engine.errors import DossierError
from engine.reranking.base import Reranker
from engine.retrieval.embedders.base import Embedder
from engine.settings import Settings
from engine.storage.database import Database
from engine.storage.pgbouncer import PgBouncerConsole
from engine.storage.redis import RedisClient

Status = Literal["ok", "warning", "failed"]
CHECK_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. seen: what is there. advice: what to do; empty where nothing is."""

    name: str
    status: Status
    seen: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Parts:
    """What is looked at. missing: why a part could not be opened, by its name.

    database, embedder: None where they could not be opened. redis, pgbouncer: None where they are
    not asked for, too. running: within an engine that serves users.
    """

    settings: Settings
    database: Database | None
    embedder: Embedder | None
    rerankers: Mapping[str, Reranker | None]
    redis: RedisClient | None
    pgbouncer: PgBouncerConsole | None
    running: bool
    missing: Mapping[str, DossierError] = field(default_factory=dict)


Look = Callable[[Parts], Awaitable[Sequence[Check]]]


async def run(looks: Mapping[str, Look], parts: Parts) -> list[Check]:
    """All checks at once, told in their order; one that breaks or hangs is a check that failed."""

    async def bounded(name: str, look: Look) -> Sequence[Check]:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                return await look(parts)
        except TimeoutError:
            return [Check(name, "failed", f"No answer within {CHECK_SECONDS:.0f} s.", "Look at its own log.")]
        except DossierError as error:
            return [Check(name, "failed", error.message, error.hint)]
        except Exception as error:
            return [Check(name, "failed", f"This check broke: {type(error).__name__}: {error}")]

    found = await asyncio.gather(*(bounded(name, look) for name, look in looks.items()))
    return [check for checks in found for check in checks]
