"""pgBouncer's admin console. It speaks the simple protocol only, which asyncpg does not."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row
from sqlalchemy import make_url

from engine.errors import DatabaseUnavailable

CONNECT_SECONDS = 2


class PgBouncerConsole:
    """Reads what pgBouncer tells of itself. url: the address through which Dossier connects.

    Its user must be one of pgBouncer's `stats_users` or `admin_users`.
    """

    def __init__(self, url: str) -> None:
        parts = make_url(url)
        self.database = parts.database or ""
        self._address = make_conninfo(
            host=parts.host or "127.0.0.1",
            port=parts.port or 6432,
            user=parts.username,
            password=parts.password,
            dbname="pgbouncer",
            connect_timeout=CONNECT_SECONDS,
        )

    async def show(self, *what: str) -> list[list[dict[str, Any]]]:
        """Rows of ``SHOW …`` for each of `what`, over one connection. Raises DatabaseUnavailable."""
        try:
            async with await psycopg.AsyncConnection.connect(
                self._address,
                autocommit=True,
                cursor_factory=psycopg.AsyncClientCursor,
                row_factory=dict_row,
            ) as connection:
                return [await (await connection.execute(f"SHOW {name}")).fetchall() for name in what]
        except (psycopg.Error, OSError) as error:
            raise DatabaseUnavailable(
                f"pgBouncer's console does not answer: {_first_line(error)}",
                hint="Its stats_users must name the user of PGBOUNCER_URL.",
            ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
