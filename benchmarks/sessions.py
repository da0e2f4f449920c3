"""Browser sessions that send a turn at once, as the chat page does.

    python -m benchmarks.sessions [--sessions 50] [--turns 3] [--json]

Starts the server as production does, on a fresh home with the sample corpus; every session
opens the chat page, then all send their question at the same moment, as often as there are
turns: the page over Streamlit's websocket, the questions as its script asks them. The load
generator runs on the same machine. Compared with one session alone, in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import psutil
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.typing import Subprotocol

from benchmarks.tables import ROOT, percentiles, print_table
from engine.documents.jobs import Upload
from engine.engine import open_engine
from engine.settings import load_settings

QUESTIONS = (
    "How many quotations are needed for a purchase?",
    "Meals abroad are refunded up to how much?",
    "Hội đồng nghiệm thu gồm những ai?",
    "Who approves purchases above the limit?",
    "Thời hạn nghiệm thu là bao lâu?",
)
START_SECONDS = 60.0
TURN_SECONDS = 60.0


@dataclass(slots=True)
class Tab:
    """One browser tab, which does what the chat page's script does.

    address: of the server. web: what it is asked with.
    errors: exceptions shown on the page, and turns without an answer.
    """

    address: str
    web: aiohttp.ClientSession
    errors: list[str] = field(default_factory=list)
    socket: websockets.ClientConnection | None = None
    session: str | None = None

    async def open(self) -> None:
        self.socket = await websockets.connect(
            self.address.replace("http", "ws", 1) + "/_stcore/stream",
            subprotocols=[Subprotocol("streamlit")],
            max_size=None,
            origin=None,
        )
        message = BackMsg()
        message.rerun_script.query_string = ""
        await self._run(message)

    async def ask(self, question: str) -> float:
        """Milliseconds until the whole answer is there."""
        body: dict[str, object] = {
            "question": question,
            "filter": {},
            "mode": "fast",
            "session_id": self.session,
        }
        started = time.perf_counter()
        async with self.web.post(f"{self.address}/chat/ask", json=body) as answer:
            if answer.status != 200:
                self.errors.append(f"status {answer.status}")
                return 0.0
            event = ""
            async for line in answer.content:
                if line.startswith(b"event: "):
                    event = line[7:].decode().strip()
                elif event == "session" and self.session is None:
                    self.session = json.loads(line[6:])["id"]
        if event != "turn":
            self.errors.append(f"no answer shown to {question!r}")
        return (time.perf_counter() - started) * 1000

    async def close(self) -> None:
        """As a tab is closed."""
        if self.socket is not None:
            await self.socket.close()

    async def _run(self, message: BackMsg) -> None:
        """Send, and read until the script has finished."""
        assert self.socket is not None
        await self.socket.send(message.SerializeToString())
        async with asyncio.timeout(TURN_SECONDS):
            while True:
                received = ForwardMsg.FromString(await self.socket.recv())
                kind = received.WhichOneof("type")
                if kind == "script_finished":
                    return
                element = received.delta.new_element
                if kind == "delta" and element.WhichOneof("type") == "exception":
                    self.errors.append(element.exception.message)


async def stock(home: Path) -> None:
    """The sample corpus, ingested before the server starts."""
    files = sorted(p for p in (ROOT / "app" / "sample").iterdir() if p.is_file() and p.suffix != ".py")
    async with open_engine(load_settings(dossier_home=home)) as engine:
        job = await engine.ingestion.submit([Upload(path.name, path) for path in files])
        await engine.ingestion.wait(job.id)


def serve(home: Path) -> tuple[subprocess.Popen[bytes], str]:
    """The production server on a free port, once it is healthy."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "app.server:app", "--port", str(port), "--workers", "1"]
    environment = os.environ | {"DOSSIER_HOME": str(home)}
    log = (home / "server.log").open("wb")
    process = subprocess.Popen(
        [*command, "--log-level", "warning"], cwd=ROOT, env=environment, stdout=log, stderr=log
    )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
            return process, f"http://127.0.0.1:{port}"
        except OSError:
            time.sleep(0.2)
    process.kill()
    raise RuntimeError((home / "server.log").read_text())


async def drive(address: str, sessions: int, turns: int) -> tuple[list[float], list[str]]:
    """All tabs ask at once, turn after turn: milliseconds of every turn, and errors."""
    spent: list[float] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as web:
        tabs = [Tab(address, web) for _ in range(sessions)]
        for tab in tabs:
            await tab.open()
        for turn in range(turns):
            asked = [tab.ask(QUESTIONS[(n + turn) % len(QUESTIONS)]) for n, tab in enumerate(tabs)]
            spent += await asyncio.gather(*asked)
        for tab in tabs:
            await tab.close()
    return spent, [error for tab in tabs for error in tab.errors]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="dossier-sessions-"))
    try:
        asyncio.run(stock(home))
        process, address = serve(home)
        try:
            idle = psutil.Process(process.pid).memory_info().rss
            alone, failed = asyncio.run(drive(address, 1, 10))
            together, errors = asyncio.run(drive(address, options.sessions, options.turns))
            after = psutil.Process(process.pid).memory_info().rss
        finally:
            process.terminate()
            process.wait(timeout=30)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    errors += failed
    if options.json:
        figures = {"alone": percentiles(alone), "together": percentiles(together)}
        print(json.dumps(figures | {"errors": errors, "idle_bytes": idle, "after_bytes": after}))
        return
    one, many = percentiles(alone), percentiles(together)
    print_table(
        ["sessions that ask at once", "p50 ms", "p95 ms", "times one session (p50)"],
        [
            ["1", f"{one['p50']:.0f}", f"{one['p95']:.0f}", "1.0"],
            [
                str(options.sessions),
                f"{many['p50']:.0f}",
                f"{many['p95']:.0f}",
                f"{many['p50'] / one['p50']:.1f}",
            ],
        ],
    )
    print(f"\n{len(errors)} errors; server {idle / 1e6:.0f} MB idle, {after / 1e6:.0f} MB after")
    for error in errors[:5]:
        print(error)


if __name__ == "__main__":
    main()
