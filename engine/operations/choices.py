"""What operators choose while Dossier runs, in the place of a setting; in force in every process."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import BadInput, DatabaseUnavailable
from engine.storage.database import Database
from engine.storage.tables import choices

log = logging.getLogger(__name__)

FRESH_SECONDS = 1.0  # after so long another process's choice is in force here too

ChoiceName = Literal["default reranker", "answer threshold"]
Also = Callable[[AsyncConnection], Awaitable[None]]
RERANKER: ChoiceName = "default reranker"
THRESHOLD: ChoiceName = "answer threshold"


@dataclass(frozen=True, slots=True)
class Choice:
    """value: as text; see Choices for what it may be."""

    value: str
    chosen_at: datetime


class Choices:
    """The default reranker and the answer threshold: as chosen, else as the settings say.

    Read from the database at most once in FRESH_SECONDS; where that fails, the last known holds.
    """

    def __init__(
        self, database: Database, rerankers: Mapping[str, object], reranker: str, threshold: float
    ) -> None:
        self._database = database
        self._rerankers = rerankers
        self._reranker = reranker
        self._threshold = threshold
        self._chosen: dict[str, Choice] = {}
        self._read_at = -FRESH_SECONDS

    async def reranker(self) -> str:
        """Name of the default reranker. A chosen one that this version does not know is passed over."""
        chosen = (await self.chosen()).get(RERANKER)
        return chosen.value if chosen and chosen.value in self._rerankers else self._reranker

    async def threshold(self) -> float:
        """Confidence, in [0, 1], below which no answer is given."""
        chosen = (await self.chosen()).get(THRESHOLD)
        return float(chosen.value) if chosen else self._threshold

    async def chosen(self) -> Mapping[str, Choice]:
        """What was chosen, by name; empty for what the settings say."""
        if time.monotonic() - self._read_at >= FRESH_SECONDS:
            self._read_at = time.monotonic()  # who comes meanwhile takes what is known
            await self._read()
        return self._chosen

    def check(self, name: ChoiceName, value: str) -> str:
        """The value in its normal form. Raises BadInput for one that cannot be."""
        if name == RERANKER:
            if value not in self._rerankers:
                known = ", ".join(self._rerankers)
                raise BadInput(f"There is no reranker “{value}”.", hint=f"Choose one of: {known}.")
            return value
        try:
            threshold = float(value)
        except ValueError:
            threshold = -1.0
        if not 0 <= threshold <= 1:
            raise BadInput(f"“{value}” is no threshold.", hint="It is a number from 0 to 1.")
        return f"{threshold:.4f}"

    async def choose(self, name: ChoiceName, value: str | None, also: Also | None = None) -> None:
        """From now on this, here at once and elsewhere within FRESH_SECONDS; None: as the settings say.

        also: done in the same transaction. Raises BadInput, DatabaseUnavailable.
        """
        async with self._database.write() as db:
            if value is None:
                await db.execute(delete(choices).where(choices.c.name == name))
            else:
                row = {"name": name, "value": self.check(name, value), "chosen_at": func.now()}
                statement = insert(choices).values(row)
                await db.execute(statement.on_conflict_do_update(constraint="choices_pkey", set_=row))
            if also is not None:
                await also(db)
        self._read_at = -FRESH_SECONDS
        await self._read()

    async def _read(self) -> None:
        try:
            async with self._database.read() as db:
                rows = await db.execute(select(choices))
                self._chosen = {row.name: Choice(row.value, row.chosen_at) for row in rows}
        except DatabaseUnavailable as error:
            log.info("Choices are taken as they were last read: %s", error)
