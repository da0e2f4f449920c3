"""Two app processes behind nginx, on one PostgreSQL and one Redis, are one Dossier."""

from __future__ import annotations

import re
import shutil
import socket
import struct
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import psutil
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import StartServer, Tab
from tests.browser.test_ask import ask, idle, upload
from tests.conftest import ROOT
from tests.redis_server import binaries, running

OpenTab = Callable[..., Tab]
QUESTION = "How much is refunded for meals abroad?"


def policy(folder: Path, euros: int) -> Path:
    folder.mkdir(exist_ok=True)
    note = folder / "meals.md"
    note.write_text(f"# Travel policy\n\nMeals abroad are refunded up to {euros} euros a day.\n")
    return note


@contextmanager
def nginx(folder: Path, processes: list[str]) -> Iterator[str]:
    """deploy/nginx/dossier.conf as it is, but for the ports."""
    binary = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if binary is None:
        pytest.skip("nginx is not installed (apt-get install nginx-light)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    text = (ROOT / "deploy" / "nginx" / "dossier.conf").read_text()
    for port_before, address in zip((8501, 8502), processes, strict=True):
        text = text.replace(f"127.0.0.1:{port_before}", urlsplit(address).netloc)
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "dossier.conf").write_text(text)
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [binary, "-p", str(folder), "-c", str(folder / "dossier.conf"), "-g", "daemon off;"],
            stdout=log,
            stderr=log,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=2).close()
                break
            except OSError:
                assert server.poll() is None, (folder / "log").read_text()
                time.sleep(0.05)
        yield address
    finally:
        server.terminate()
        server.wait(10)


def end(address: str) -> None:
    """Kill the server that listens there."""
    port = urlsplit(address).port
    (pid,) = {c.pid for c in psutil.net_connections("tcp4") if c.status == "LISTEN" and c.laddr.port == port}
    psutil.Process(pid).kill()


@pytest.fixture
def processes(
    database_url: str, start_server: StartServer, tmp_path: Path, browser: object
) -> Iterator[list[str]]:
    """Two of them, started at the same moment on a schema that is not there yet."""
    with ExitStack() as stack:
        redis = stack.enter_context(running(tmp_path / "redis", binaries()["valkey"]))
        shared = {
            "DATABASE_URL": database_url,
            "DATABASE_SCHEMA": "two_processes",
            "REDIS_URL": redis.url,
            "ENABLE_REDIS_CACHE": "true",
            "ENABLE_REDIS_SESSIONS": "true",
        }
        with ThreadPoolExecutor(2) as pool:
            starting = [start_server(**shared) for _ in range(2)]
            yield list(pool.map(stack.enter_context, starting))


def served_by(tab: Tab) -> str:
    """Which layer had the retrieval of the last answer, as its receipt tells."""
    tab.page.get_by_role("button", name="Receipt").last.click()
    row = tab.page.locator(".receipt tr", has_text="Cache: retrieval").last
    expect(row).to_be_visible()
    told = row.locator("td").inner_text()
    tab.page.keyboard.press("Escape")
    return told


def test_two_processes_share_documents_sessions_and_cache(
    processes: list[str], open_tab: OpenTab, tmp_path: Path
) -> None:
    first, second = processes
    writing = open_tab(f"{first}/documents")
    upload(writing.page, policy(tmp_path / "old", 45))
    writing.page.get_by_role("link", name="Chat", exact=True).click()
    ask(writing.page, QUESTION)
    expect(writing.page.locator(".answer").last).to_contain_text("45 euros")
    idle(writing.page)
    assert served_by(writing) == "miss"

    # The session, by its address, on the other process; its cache, through Redis.
    session = urlsplit(writing.page.url)
    other = open_tab(f"{second}{session.path}?{session.query}")
    expect(other.page.locator(".answer").last).to_contain_text("45 euros")
    ask(other.page, QUESTION)
    expect(other.page.locator(".answer")).to_have_count(2)
    idle(other.page)
    assert served_by(other) == "L2"

    # What one process replaces, the other no longer cites.
    writing.page.goto(f"{first}/documents")
    upload(writing.page, policy(tmp_path / "new", 60))
    ask(other.page, QUESTION)
    expect(other.page.locator(".answer")).to_have_count(3)
    expect(other.page.locator(".answer").last).to_contain_text("60 euros")


def test_nginx_keeps_a_visitor_with_one_process_and_finds_another_when_it_ends(
    processes: list[str], open_tab: OpenTab, tmp_path: Path
) -> None:
    with nginx(tmp_path / "nginx", processes) as address:
        tab = open_tab(f"{address}/documents")
        upload(tab.page, policy(tmp_path / "old", 45))
        tab.page.get_by_role("link", name="Chat", exact=True).click()
        ask(tab.page, QUESTION)
        expect(tab.page.locator(".answer").last).to_contain_text("45 euros")
        expect(tab.page).to_have_url(re.compile(r"session=[0-9a-f-]{36}"))
        visitors = [c for c in tab.page.context.cookies() if c["name"] == "dossier_visitor"]
        assert len(visitors) == 1
        tab.page.reload()
        expect(tab.page.locator(".answer").last).to_contain_text("45 euros")
        assert [c for c in tab.page.context.cookies() if c["name"] == "dossier_visitor"] == visitors

        # Several visitors, so that some are with the process that ends.
        everyone = [tab, *(open_tab(tab.page.url) for _ in range(3))]
        end(processes[0])
        for one in everyone:
            one.complaints.clear()
            one.page.goto(one.page.url)
            expect(one.page.locator(".answer").last).to_contain_text("45 euros")
            one.complaints.clear()  # the lost websocket


class _Serving(BaseHTTPRequestHandler):
    """Resets the connections of its first requests, then answers."""

    resets = 0

    def do_GET(self) -> None:
        if self.resets:
            type(self).resets -= 1
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@contextmanager
def serving(resets: int) -> Iterator[ThreadingHTTPServer]:
    handler = type("Handler", (_Serving,), {"resets": resets})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


def test_nginx_serves_by_the_one_left_although_it_reset_connections_before(tmp_path: Path) -> None:
    def asked(address: str) -> int:
        with urllib.request.urlopen(f"{address}/", timeout=10) as reply:
            return int(reply.status)

    with ExitStack() as ends, serving(3) as stays:
        goes = ends.enter_context(serving(0))
        both = [f"http://127.0.0.1:{server.server_port}" for server in (goes, stays)]
        with nginx(tmp_path / "nginx", both) as address:
            for _ in range(100):  # visitors without a cookie, each with one of both
                assert asked(address) == 204
            assert stays.RequestHandlerClass.resets == 0
            ends.close()
            assert [asked(address) for _ in range(10)] == [204] * 10
