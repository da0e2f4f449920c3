"""Statements that are compiled once, and whose rows come straight from the driver.

Of the processor time of a short read nine tenths are otherwise SQLAlchemy's own, which looks up
the compiled form, makes contexts and wraps rows each time it runs one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import asyncpg
from sqlalchemy import Select, TextClause
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

_DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]


class FixedRow(asyncpg.Record):  # type: ignore[misc]
    """A row with its columns as attributes."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Fixed:
    """A statement of which only parameters vary.

    Neither they nor its columns may be of a type whose values SQLAlchemy converts: no JSON.
    """

    __slots__ = ("_bound", "_names", "sql", "statement")

    def __init__(self, statement: Select[Any] | TextClause) -> None:
        compiled = statement.compile(dialect=_DIALECT)
        self.statement: Any = statement
        self.sql = str(compiled)
        self._names: tuple[str, ...] = tuple(compiled.positiontup or ())
        self._bound = dict(compiled.params)

    def arguments(self, given: Mapping[str, object]) -> list[object]:
        """In the order in which the driver takes them."""
        return [given[name] if name in given else self._bound[name] for name in self._names]
