"""All that serves, as processes that can be killed; the harness starts them again as systemd would.

PostgreSQL is the embedded one: the app itself starts it again. pgBouncer stands between, Redis
keeps cache and sessions.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil

from engine.storage.embedded import embedded_postgres
from tests.conftest import ROOT
from tests.redis_server import RedisServer, binaries
from tests.storage.pgbouncer import PgBouncer

KINDS = ("app", "parser", "postgres", "postmaster", "backend", "redis", "pgbouncer", "everything")
RESTART_SECONDS = 0.1  # as in deploy/systemd
LOOK_SECONDS = 0.05


class Servers:
    """One app process on a free port, and what it stands on."""

    def __init__(self, folder: Path, models: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        models.mkdir(parents=True, exist_ok=True)
        (self.home / "models").symlink_to(models)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.redis = RedisServer(folder / "redis", binaries()["valkey"])
        self.pgbouncer = PgBouncer(folder / "pgbouncer", str(self.postgres))
        self._app: subprocess.Popen[bytes] | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def postgres(self) -> Path:
        """The embedded server's folder."""
        return self.home / "postgres"

    @property
    def address(self) -> str:
        """Where the app listens."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Everything, once; then whatever ends is started again."""
        async with embedded_postgres(self.postgres):
            pass  # made, so that pgBouncer knows its folder
        await asyncio.to_thread(self.redis.start)
        await asyncio.to_thread(self.pgbouncer.start)
        self._start_app()
        self._watch = asyncio.create_task(self._supervise(), name="supervisor")

    async def stop(self) -> None:
        """End everything that was started."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        if self._app is not None:
            self._app.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._app.wait, 20)
            self._app.kill()
            self._app.wait()
        self.redis.stop()
        self.pgbouncer.stop()
        for process in self._postgres_family():
            _kill(process)  # the app's own stop has ended it, unless it was killed meanwhile

    def kill(self, kind: str) -> str:
        """SIGKILL, now. Returns what was hit; empty where there was no such process at the moment."""
        match kind:
            case "app":
                return _kill_all(self._process(self._app), "app")
            case "parser":
                children = [
                    child
                    for app in self._process(self._app)
                    for child in _children(app)
                    if "engine.documents.parsing.child" in _command(child)
                ]
                return _kill_all(children[:1], "parser")
            case "postgres":
                return _kill_all(self._postgres_family(), "postgres")
            case "postmaster":
                return _kill_all(self._postgres_family()[:1], "postmaster")
            case "backend":
                backends = [p for p in self._postgres_family()[1:] if "dossier" in _command(p)]
                return _kill_all(random.sample(backends, min(1, len(backends))), "backend")
            case "redis":
                return _kill_all(self._process(self.redis.process), "redis")
            case "pgbouncer":
                return _kill_all(self._process(self.pgbouncer.process), "pgbouncer")
            case _:  # everything at once, as when the power goes
                order = ["app", "postgres", "redis", "pgbouncer"]
                random.shuffle(order)
                return " ".join(filter(None, map(self.kill, order)))

    def log(self, lines: int = 40) -> str:
        """The end of the app's log."""
        return "\n".join((self.folder / "app.log").read_text(errors="replace").splitlines()[-lines:])

    def _start_app(self) -> None:
        environment = {
            **os.environ,
            "DOSSIER_HOME": str(self.home),
            "USE_PGBOUNCER": "true",
            "PGBOUNCER_URL": self.pgbouncer.url,
            "REDIS_URL": self.redis.url,
            "ENABLE_REDIS_CACHE": "true",
            "ENABLE_REDIS_SESSIONS": "true",
            "DATABASE_POOL_SIZE": "5",
            "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
        }
        with (self.folder / "app.log").open("ab") as log:
            self._app = subprocess.Popen(
                [sys.executable, "-m", "uvicorn", "app.server:app", "--port", str(self.port)],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
            )

    async def _supervise(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._app is not None and self._app.poll() is not None:
                await asyncio.sleep(RESTART_SECONDS)
                self._start_app()
            for server in (self.redis, self.pgbouncer):
                if server.process is not None and server.process.poll() is not None:
                    await asyncio.sleep(RESTART_SECONDS)
                    await asyncio.to_thread(server.start)

    def _process(self, started: subprocess.Popen[bytes] | None) -> list[psutil.Process]:
        if started is None or started.poll() is not None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            return [psutil.Process(started.pid)]
        return []

    def _postgres_family(self) -> list[psutil.Process]:
        """The postmaster first, then all that it has started."""
        with contextlib.suppress(OSError, ValueError, IndexError, psutil.NoSuchProcess):
            pid = int((self.postgres / "postmaster.pid").read_text().splitlines()[0])
            postmaster = psutil.Process(pid)
            if postmaster.name() == "postgres":
                return [postmaster, *_children(postmaster)]
        return []


def _children(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []


def _command(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def _kill(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGKILL)
        return True
    return False


def _kill_all(processes: list[psutil.Process], name: str) -> str:
    return name if [True for process in processes if _kill(process)] else ""
