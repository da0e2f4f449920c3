"""Without access control only this machine is served."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.listening import LocalOnly
from app.sign_in_form import onward
from engine.settings import load_settings
from tests.conftest import ROOT

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "command",
    [
        ["uvicorn", "app.server:app", "--host", "0.0.0.0"],
        ["streamlit", "run", "app/server.py", "--server.address", "0.0.0.0"],
    ],
)
def test_the_server_refuses_to_start_for_other_machines(command: list[str], tmp_path: object) -> None:
    """Before anything is opened, and with the setting's name."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    where = ["--port", port] if command[0] == "uvicorn" else ["--server.port", port]
    done = subprocess.run(
        [sys.executable, "-m", *command, *where],
        cwd=ROOT,
        env={**os.environ, "DOSSIER_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert "LISTEN_WITHOUT_ACCESS_CONTROL=true" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("server", "client", "served"),
    [
        (("127.0.0.1", 8501), ("127.0.0.1", 5), True),
        (("::1", 8501), ("::1", 5), True),
        (("::ffff:127.0.0.1", 8501), ("::ffff:127.0.0.1", 5), True),
        (("192.168.1.5", 8501), ("192.168.1.9", 5), False),
        (("127.0.0.1", 8501), ("203.0.113.7", 5), False),  # through a proxy on this machine
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_each_connection_is_looked_at(
    server: tuple[str, int], client: tuple[str, int], served: bool, kind: str
) -> None:
    for told, expected in (
        ({}, served),
        ({"access_control": True}, True),
        ({"listen_without_access_control": True}, True),
    ):
        reached: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send, reached: list[str] = reached) -> None:
            reached.append(scope["type"])

        sent: list[Message] = []

        async def send(message: Message, sent: list[Message] = sent) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": f"{kind}.connect"}

        guard = LocalOnly(app, lambda told=told: load_settings(_env_file=None, **told))  # type: ignore[misc]
        scope = {
            "type": kind,
            "path": "/",
            "method": "GET",
            "headers": [],
            "server": server,
            "client": client,
        }
        await guard(scope, receive, send)
        assert bool(reached) is expected
        assert expected or sent[0].get("status") == 403 or sent[0].get("code") == 1008


def test_signing_in_leads_to_a_place_here() -> None:
    for given in (
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/a\nb",
    ):
        assert onward(given) == "/"
    assert onward("/chat?session=1") == "/chat?session=1"
