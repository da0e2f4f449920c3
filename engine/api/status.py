"""For those who look after the process: whether it lives, whether it can serve, what is running."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter
from sqlalchemy import text
from starlette.responses import Response

from engine.access.principal import SYSTEM, acting
from engine.api.problems import RETRY_SECONDS
from engine.api.responses import as_json
from engine.engine import Engine
from engine.errors import DatabaseUnavailable
from engine.features import Feature

CHECK_SECONDS = 2.0
_ALIVE = b'{"status":"ok"}'

State = Literal["ok", "degraded", "down"]


@dataclass(frozen=True, slots=True)
class Health:
    """The loop turns and the engine is open."""

    status: Literal["ok"]


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something that the engine stands on. why: what is missing; empty where nothing is."""

    name: str
    state: State
    effective: str
    why: str


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether to send requests here. ``degraded`` still answers, with less than was asked for."""

    status: Literal["ready", "degraded", "not ready"]
    why: str
    dependencies: tuple[Dependency, ...]


def status_routes(engine: Callable[[], Engine]) -> APIRouter:
    """`/health`, `/ready`, `/features`."""
    router = APIRouter(tags=["status"])

    @router.get("/health", response_model=Health, summary="Whether the process lives")
    async def health() -> Response:
        return Response(_ALIVE, media_type="application/json")

    @router.get(
        "/ready",
        response_model=Readiness,
        summary="Whether it can serve, and on what",
        responses={503: {"model": Readiness, "description": "Not ready: draining, or no database."}},
    )
    async def ready() -> Response:
        told = await _readiness(engine())
        if told.status == "not ready":
            return as_json(told, 503, {"Retry-After": str(RETRY_SECONDS)})
        return as_json(told)

    @router.get("/features", response_model=list[Feature], summary="What was asked for and what is running")
    async def features() -> Response:
        return as_json(await engine().features())

    return router


async def _readiness(engine: Engine) -> Readiness:
    database = await _database(engine)
    dependencies = [database]
    if database.state != "down":
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                with acting(SYSTEM):  # whoever looks after the process brings no key
                    found = await engine.features()
            dependencies += [
                Dependency(f.name, "degraded" if f.why else "ok", f.effective, f.why)
                for f in found
                if f.name != "database"
            ]
        except TimeoutError:
            dependencies.append(
                Dependency("features", "degraded", "unknown", "They cannot be asked in time.")
            )
    if engine.drain.since is not None:
        return Readiness(
            "not ready",
            "It is draining: it finishes what it has, and takes nothing new.",
            tuple(dependencies),
        )
    if database.state == "down":
        return Readiness("not ready", database.why, tuple(dependencies))
    if any(dependency.state != "ok" for dependency in dependencies):
        return Readiness("degraded", "Something runs with less than was asked for.", tuple(dependencies))
    return Readiness("ready", "", tuple(dependencies))


async def _database(engine: Engine) -> Dependency:
    """Asked itself. A pool whose every connection is at work is busy, not gone."""
    try:
        async with asyncio.timeout(CHECK_SECONDS), engine.database.read() as db:
            await db.execute(text("SELECT 1"))
    except (TimeoutError, DatabaseUnavailable) as error:
        pool = engine.database.pool_status()
        if isinstance(error, TimeoutError) and pool.in_use >= pool.size:
            return Dependency("database", "degraded", "busy", "Every connection is at work.")
        why = error.message if isinstance(error, DatabaseUnavailable) else "The database does not answer."
        return Dependency("database", "down", "not reachable", why)
    return Dependency("database", "ok", "PostgreSQL", "")
