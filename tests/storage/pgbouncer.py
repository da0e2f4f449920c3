"""A real pgBouncer for tests, started by deploy/pgbouncer/start as an operator would."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

START_SECONDS = 20


class PgBouncer:
    """One server in front of `postgres` (an address or a folder)."""

    def __init__(self, folder: Path, postgres: str, **settings: object) -> None:
        self.folder, self.postgres = folder, postgres
        self.settings = [f"--set={name}={value}" for name, value in settings.items()]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What `start` tells the operator to put into PGBOUNCER_URL."""
        told = dict(
            line.split("=", 1) for line in (self.folder / "environment").read_text().splitlines() if line
        )
        assert told["USE_PGBOUNCER"] == "true"
        return told["PGBOUNCER_URL"]

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The server's own, where it was started."""
        return self._process

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        script = ROOT / "deploy" / "pgbouncer" / "start"
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    str(script),
                    str(self.folder),
                    self.postgres,
                    f"--listen=127.0.0.1:{self.port}",
                    *self.settings,
                ],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            log_text = (self.folder / "log").read_text()
            assert self._process.poll() is None and time.monotonic() < deadline, log_text
            time.sleep(0.01)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def running(folder: Path, postgres: str, **settings: object) -> Iterator[PgBouncer]:
    """Started, and stopped in the end; skips the test where pgBouncer is not installed."""
    if shutil.which("pgbouncer", path="/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin") is None:
        pytest.skip("pgBouncer is not installed (apt-get install pgbouncer)")
    server = PgBouncer(folder, postgres, **settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()
