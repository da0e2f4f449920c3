"""The app as `make run` starts it, in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

START_SECONDS = 120.0  # with models to be prepared first


@dataclass(frozen=True)
class RunningApp:
    """home: its DOSSIER_HOME. log: what it has written so far."""

    address: str
    home: Path
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> str:
        return (self.home / "log").read_text(encoding="utf-8", errors="replace")


def free_port() -> int:
    """A port of this machine that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_app(
    models: Path, home: Path, *, port: int | None = None, **environment: str
) -> Iterator[RunningApp]:
    """Runs the app with an empty corpus. models: prepared ones, shared; home: a folder for the rest.

    port: see `free_port`; by default any.
    """
    models.mkdir(exist_ok=True)
    (home / "models").symlink_to(models)
    port = port or free_port()
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "app.server:app", "--port", str(port)],
            cwd=ROOT,
            env={**os.environ, "DOSSIER_HOME": str(home), **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    app = RunningApp(f"http://127.0.0.1:{port}", home, server)
    try:
        _wait(app)
        yield app
    finally:
        server.terminate()
        server.wait(20)


def _wait(app: RunningApp) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and app.process.poll() is None:
        try:
            with urllib.request.urlopen(f"{app.address}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"the server did not start:\n{app.log[-3000:]}")
