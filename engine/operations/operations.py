"""What operators do to a running Dossier: done, told how it went, and recorded."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal, TypeVar

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.access.principal import OPEN, Access
from engine.caching.caches import LAYERS, Caches, LayerReport
from engine.documents.generation import bump_generation
from engine.errors import BadInput, DatabaseUnavailable, Unavailable
from engine.observability.process import process_name
from engine.operations.choices import ChoiceName, Choices
from engine.operations.drain import Drain
from engine.storage.database import Database
from engine.storage.tables import audit_events

log = logging.getLogger(__name__)

Via = Literal["operations page", "rerankers page", "command line", "program"]
CLEAR_CACHE = "clear cache layer"
DRAIN, SERVE, RELOAD, CHOOSE = "drain", "serve again", "reload", "choose"

Reload = Callable[[], Awaitable[None]]
Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class OperatorAction:
    """One thing that was tried. at: None where it could not be recorded; the log has it."""

    action: str
    subject: str
    done: bool
    outcome: str
    via: str
    at: datetime | None = None


class Operations:
    """An operator's. Every method that does something records it, and does both to the end, even where
    whoever waits for it leaves first."""

    def __init__(
        self,
        database: Database,
        caches: Caches,
        drain: Drain,
        choices: Choices,
        models: Callable[[], Mapping[str, Reload]],
        access: Access = OPEN,
    ) -> None:
        self._access = access
        self._database = database
        self._caches = caches
        self._drain = drain
        self.choices = choices
        self._models = models
        self._under_way: set[asyncio.Task[Any]] = set()

    async def clear_cache(self, layers: Sequence[str] = LAYERS, via: Via = "program") -> list[OperatorAction]:
        """Empty cache layers by name, each an action of its own. Raises BadInput for a wrong name.

        L1 is emptied in this process; in others, what depends on the documents is no longer
        found either, since the corpus counts as changed.
        """
        self._access.require("operate")
        return await self._to_the_end(self._clear_cache(layers, via))

    async def _clear_cache(self, layers: Sequence[str], via: Via) -> list[OperatorAction]:
        held = {layer.name: layer for layer in await self._caches.report()}
        done = await self._caches.clear(layers)
        outcomes = {name: _outcome(held.get(name), done.get(name)) for name in dict.fromkeys(layers)}
        if "L1" in outcomes:
            try:
                async with self._database.write() as db:
                    await bump_generation(db)
            except DatabaseUnavailable:
                done["L1"] = False
                outcomes["L1"] += " In this process only: PostgreSQL does not answer."
        return [
            await self._record(OperatorAction(CLEAR_CACHE, name, done.get(name, False), outcome, via))
            for name, outcome in outcomes.items()
        ]

    async def drain(self, via: Via = "program") -> OperatorAction:
        """Take no new questions and files in this process; what is under way is finished."""
        self._access.require("operate")
        self._drain.begin()
        outcome = "It takes nothing new, and finishes what it has."
        action = OperatorAction(DRAIN, process_name(), True, outcome, via)
        return await self._to_the_end(self._record(action))

    async def serve(self, via: Via = "program") -> OperatorAction:
        """Take new questions and files again."""
        self._access.require("operate")
        self._drain.end()
        action = OperatorAction(SERVE, process_name(), True, "It takes all again.", via)
        return await self._to_the_end(self._record(action))

    async def choose(self, name: ChoiceName, value: str | None, via: Via = "program") -> OperatorAction:
        """Put something in the place of a setting; None puts the setting back.

        Raises BadInput, DatabaseUnavailable, NotAllowed.
        """
        self._access.require("operate")
        return await self._to_the_end(self._choose(name, value, via))

    async def _choose(self, name: ChoiceName, value: str | None, via: Via) -> OperatorAction:
        before = (await self.choices.chosen()).get(name)
        outcome = f"{value}, in every process." if value is not None else "As the setting says."
        was = f" It was {before.value}." if before else ""
        action = OperatorAction(CHOOSE, name, True, outcome + was, via)

        async def record(db: AsyncConnection) -> None:
            nonlocal action
            action = await self._recorded(db, action)

        await self.choices.choose(name, value, record)
        return action

    @property
    def models(self) -> list[str]:
        """Models in this process that can be loaded anew."""
        return [*self._models()]

    async def reload_model(self, name: str, via: Via = "program") -> OperatorAction:
        """Load a model of this process anew, while questions go on. Raises BadInput."""
        self._access.require("operate")
        models = self._models()
        if name not in models:
            raise BadInput(f"There is no model “{name}”.", hint=f"Choose one of: {', '.join(models)}.")
        return await self._to_the_end(self._reload(name, models[name], via))

    async def _reload(self, name: str, reload: Reload, via: Via) -> OperatorAction:
        began = time.perf_counter()
        try:
            await reload()
            done, outcome = True, f"Loaded anew in {time.perf_counter() - began:.1f} s."
        except Unavailable as error:
            log.warning("Reloading %s failed", name, exc_info=error)
            done, outcome = False, "It cannot be loaded. The log says why."
        return await self._record(OperatorAction(RELOAD, name, done, outcome, via))

    async def recent(self, limit: int = 50) -> list[OperatorAction]:
        """What was done last, the latest first. Raises DatabaseUnavailable."""
        self._access.require("operate")
        columns = audit_events.c
        statement = (
            select(columns.action, columns.subject, columns.done, columns.outcome, columns.via, columns.at)
            .where(columns.action.in_((CLEAR_CACHE, DRAIN, SERVE, RELOAD, CHOOSE)))
            .order_by(columns.id.desc())
            .limit(limit)
        )
        async with self._database.read() as db:
            return [OperatorAction(*row) for row in await db.execute(statement)]

    async def _to_the_end(self, work: Coroutine[Any, Any, Done]) -> Done:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def _record(self, action: OperatorAction) -> OperatorAction:
        try:
            async with self._database.write() as db:
                return await self._recorded(db, action)
        except DatabaseUnavailable:
            log.warning("This could not be recorded in the database: %s %s", action.action, action.subject)
            return action

    async def _recorded(self, db: AsyncConnection, action: OperatorAction) -> OperatorAction:
        log.info("%s %s, by the %s: %s", action.action, action.subject, action.via, action.outcome)
        row = asdict(action)
        del row["at"]
        who = self._access.principal()
        statement = insert(audit_events).values(**row, who_id=who.id, who=who.name)
        return replace(action, at=(await db.execute(statement.returning(audit_events.c.at))).scalar_one())


def _outcome(layer: LayerReport | None, cleared: bool | None) -> str:
    if layer is None or cleared is None:
        return "It is not in use."
    if not cleared:
        return "It could not be reached; nothing was cleared."
    if layer.usage is None:
        return "Cleared."
    entries = layer.usage.entries
    return f"Cleared: {entries:,} {'entry' if entries == 1 else 'entries'}."
