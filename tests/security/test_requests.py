"""No hostile request gets an inside, a file, another's data, or a dead process."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app_server import RunningApp, running_app
from tests.security.inside import FOLDERS
from tests.security.requests import HOST, HostileRequest, hostile_requests

REQUESTS = hostile_requests()
SECONDS = 5  # REQUEST_TIMEOUT_SECONDS of the app under test
SECRET = "sk-never-to-be-seen"
_INSIDE = re.compile(
    rf"Traceback|File \"|{FOLDERS}|site-packages|\.py\b|0x[0-9a-f]{{8,}}|asyncpg|sqlalchemy|SELECT |"
    rf"root:x:0|{SECRET}".encode(),
)


@pytest.fixture(scope="module")
def app(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    with running_app(
        home / "models",
        tmp_path_factory.mktemp("app"),
        REQUEST_TIMEOUT_SECONDS=str(SECONDS),
        MAX_UPLOAD_BYTES="300000",
        OPENAI_API_KEY=SECRET,
        OPENAI_BASE_URL="http://127.0.0.1:9/v1",
        OPENAI_MAX_RETRIES="0",
    ) as running:
        yield running


def test_there_are_as_many_as_promised() -> None:
    assert len(REQUESTS) >= 500


def send(app: RunningApp, request: HostileRequest) -> bytes:
    """All that comes back, until the connection is closed or nothing has come for a while."""
    host, port = app.address.removeprefix("http://").split(":")
    sent = [
        piece.replace(b"Host: " + HOST + b"\r\n", f"Host: {host}:{port}\r\n".encode())
        for piece in request.sent
    ]
    answer = b""
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.settimeout(SECONDS + 8)
        with contextlib.suppress(OSError):
            for piece in sent:
                connection.sendall(piece)
        waits = request.allowed & {408, 504} or not any(b"\r\n\r\n" in piece for piece in sent)
        connection.settimeout(SECONDS + 8 if waits and request.allowed else 1.0 if waits else 10)
        with contextlib.suppress(OSError):
            while len(answer) < 2_000_000 and (piece := connection.recv(65_536)):
                answer += piece
                if answer.startswith(b"HTTP/1.1 101"):
                    connection.settimeout(0.3)
    return answer


def test_the_log_holds_no_addresses(app: RunningApp) -> None:
    for path in (f"/?shared={SECRET}", f"/health?key={SECRET}", f"/api/documents/{SECRET}"):
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(app.address + path, timeout=10).close()
    assert "startup complete" in app.log
    assert SECRET not in app.log


@pytest.mark.parametrize("trick", REQUESTS)
def test_a_hostile_request_gets_nothing(trick: str, app: RunningApp) -> None:
    request = REQUESTS[trick]
    answer = send(app, request)
    if not answer:  # closed without a word
        assert not request.allowed
        return
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    assert status < 500 or status == 503 or status in request.allowed, answer[:500]
    assert not request.allowed or status in request.allowed, answer[:500]
    is_page = headers.get(b"content-type", b"").startswith((b"text/html", b"text/javascript", b"text/css"))
    if not is_page:  # those are Streamlit's own files, or the documentation's
        assert not _INSIDE.search(body), answer[:1000]
    assert b"set-cookie" not in headers or b"pwned" not in headers[b"set-cookie"]
    assert headers.get(b"location", b"").find(b"evil.example") < 0
    if (
        status >= 400
        and b"x-request-id" in headers
        and body
        and not trick.startswith(("HEAD", "a websocket"))
    ):
        told = json.loads(body)
        assert told["type"].startswith("urn:dossier:problem:") and told["status"] == status
        assert headers[b"content-type"] == b"application/problem+json"
        assert headers[b"x-content-type-options"] == b"nosniff"


def test_the_app_goes_on_as_if_nothing_had_been(app: RunningApp) -> None:
    assert app.process.poll() is None
    with urllib.request.urlopen(f"{app.address}/api/documents", timeout=10) as answer:
        names = [document["file_name"] for document in json.loads(answer.read())["documents"]]
    assert len(names) <= 5  # what some tricks may honestly have uploaded
    assert all(name.isprintable() and not set("/\\") & set(name) for name in names), names
    began = time.monotonic()
    with urllib.request.urlopen(f"{app.address}/health", timeout=5):
        assert time.monotonic() - began < 2


def test_nothing_was_written_elsewhere_and_the_log_tells_no_secret(app: RunningApp) -> None:
    for path in ("/etc/cron.d/x.exe", "/var/pwned.exe", "pwned", "pwned.exe"):
        assert not Path(path).exists()
    log = app.log
    assert SECRET not in log
    assert "\x1b[2J" not in log
    assert not re.search(r"^Traceback", log, re.MULTILINE), log[log.find("Traceback") - 500 :][:3000]
