"""The servers under load: app processes as production runs them, pgBouncer and nginx before them."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tables import ROOT
from engine.settings import Settings

START_SECONDS = 120.0
STOP_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Served:
    """address: where users go. processes: addresses of the app processes. pids: of those."""

    address: str
    processes: tuple[str, ...]
    pids: tuple[int, ...]
    postgres: int


@contextlib.contextmanager
def serving(
    home: Path, *, processes: int = 1, pgbouncer: bool = False, settings: Mapping[str, object] | None = None
) -> Iterator[Served]:
    """App processes on the embedded database of `home`; more than one stand behind nginx.

    The process that runs this must not hold the database open itself. Cached results of earlier
    runs are not kept (see `empty_cache`).
    """
    given = {name.upper(): str(value) for name, value in (settings or {}).items()}
    with contextlib.ExitStack() as stack:
        if pgbouncer:
            # It needs a server to stand before: one app process keeps that up.
            stack.enter_context(_app(home, given | {"L1_CACHE_MAXSIZE": "0"}, "keeper"))
            given |= stack.enter_context(_pgbouncer(home))
        apps = [stack.enter_context(_app(home, given, f"app-{n}")) for n in range(processes)]
        addresses = tuple(address for address, _ in apps)
        address = addresses[0] if processes == 1 else stack.enter_context(_nginx(home, addresses))
        postmaster = int((home / "postgres" / "postmaster.pid").read_text().split()[0])
        yield Served(address, addresses, tuple(pid for _, pid in apps), postmaster)


@contextlib.contextmanager
def _app(home: Path, given: Mapping[str, str], name: str) -> Iterator[tuple[str, int]]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "app.server:app", "--port", str(port), "--workers", "1"]
    command += ["--ws-per-message-deflate", "false", "--timeout-keep-alive", "75"]
    environment = {k: v for k, v in os.environ.items() if k.lower() not in Settings.model_fields}
    environment |= {"DOSSIER_HOME": str(home), **given}
    with _running(command, home / f"{name}.log", environment) as process:
        address = f"http://127.0.0.1:{port}"
        _wait(process, f"{address}/health", home / f"{name}.log")
        yield address, process.pid


@contextlib.contextmanager
def _pgbouncer(home: Path) -> Iterator[dict[str, str]]:
    """What the app is to be told."""
    folder, port = home / "pgbouncer", free_port()
    script = str(ROOT / "deploy" / "pgbouncer" / "start")
    command = [sys.executable, script, str(folder), str(home / "postgres"), f"--listen=127.0.0.1:{port}"]
    with _running(command, home / "pgbouncer.log", dict(os.environ)) as process:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((home / "pgbouncer.log").read_text())
            time.sleep(0.05)
        told = (folder / "environment").read_text().split()
        yield dict(line.split("=", 1) for line in told)


@contextlib.contextmanager
def _nginx(home: Path, addresses: tuple[str, ...]) -> Iterator[str]:
    """deploy/nginx/dossier.conf, on other ports."""
    binary = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if binary is None:
        raise RuntimeError("Two processes need nginx before them (apt-get install nginx-light).")
    port = free_port()
    text = (ROOT / "deploy" / "nginx" / "dossier.conf").read_text()
    for before, address in zip((8501, 8502), addresses, strict=True):
        text = text.replace(f"127.0.0.1:{before}", address.removeprefix("http://"))
    folder = home / "nginx"
    folder.mkdir(exist_ok=True)
    configuration = folder / "dossier.conf"
    configuration.write_text(text.replace("127.0.0.1:8080", f"127.0.0.1:{port}"))
    command = [binary, "-p", str(folder), "-c", str(configuration), "-g", "daemon off;"]
    with _running(command, home / "nginx.log", dict(os.environ)) as process:
        address = f"http://127.0.0.1:{port}"
        _wait(process, f"{address}/health", home / "nginx.log")
        yield address


@contextlib.contextmanager
def _running(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as written:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=written, stderr=written)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(address, timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text()) from None
            time.sleep(0.1)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
