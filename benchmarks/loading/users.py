"""The users, in a process of their own: `python -m benchmarks.loading.users`, a Load as JSON on stdin.

Five kinds, who come in equal numbers and ask three questions each with a pause between; whoever
has left is replaced by another of the kind until the time is over. What each question took is
written to stdout as JSON.

REST: two ask in Vietnamese (one without diacritics), one in English; one converses in a session;
one follows the answer as it streams. In the browser all hold a page open over Streamlit's
websocket, and ask as its script does, in the same languages.

aiohttp and not Locust: against an empty server both cost 0.4 ms of processor time a request at
1,000 users, which is little of a core; but the browser's protocol runs on the same loop here, and
one package is installed instead of twenty.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import aiohttp
import uvloop

from benchmarks.sessions import Tab
from engine.text.normalisation import fold_diacritics

QUESTIONS = 3
THINK_SECONDS = (1.0, 3.0)
TIMEOUT_SECONDS = 30.0


Told = tuple[str, str]  # what went wrong with a question, and where what was retrieved came from


@dataclass(frozen=True, slots=True)
class Load:
    """users at once, who arrive within `arrive` seconds; `seconds` from the first to the last.

    protocol: ``rest`` or ``browser``. questions: by language, the most frequent first: the r-th is
        asked in proportion to 1/r. distinct: every question is made another one by a number, so that
        no cache can serve it. think: seconds between two questions, at least and at most.
    """

    address: str
    users: int
    seconds: float
    arrive: float
    questions: dict[str, list[str]]
    protocol: str = "rest"
    distinct: bool = False
    think: tuple[float, float] = THINK_SECONDS
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Asked:
    """One question. at: seconds since the beginning. error: empty where it was answered.

    found_in: the cache layer that had what was retrieved; "miss" if none, empty where it is not told.
    """

    kind: str
    at: float
    ms: float
    error: str
    found_in: str = ""


class Crowd:
    """All users of one load."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.asked: list[Asked] = []
        self._random = random.Random(load.seed)
        self._began = time.perf_counter()
        self._weights = {
            language: [1 / rank for rank in range(1, len(questions) + 1)]
            for language, questions in load.questions.items()
        }

    async def run(self) -> list[Asked]:
        """Let them come, ask, leave and be replaced; returns once all have left, at once after SIGTERM."""
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
        kinds = tuple(REST if self.load.protocol == "rest" else BROWSER)
        async with connector:
            places = asyncio.gather(
                *(self._place(kinds[n % len(kinds)], n, connector) for n in range(self.load.users))
            )
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, places.cancel)
            with contextlib.suppress(asyncio.CancelledError):
                await places
        return self.asked

    async def _place(self, kind: str, number: int, connector: aiohttp.BaseConnector) -> None:
        await asyncio.sleep(self.load.arrive * number / max(1, self.load.users))
        visit = (REST if self.load.protocol == "rest" else BROWSER)[kind]
        while self._left() > 0:
            await visit(self, kind, connector)

    def _left(self) -> float:
        return self.load.seconds - (time.perf_counter() - self._began)

    def question(self, language: str) -> str:
        """Any of the language's, frequent ones more often."""
        (text,) = self._random.choices(self.load.questions[language], self._weights[language])
        return f"{text} ({self._random.getrandbits(40)})" if self.load.distinct else text

    async def ask(self, kind: str, send: Callable[[], Awaitable[Told]]) -> None:
        """One question, timed."""
        began = time.perf_counter()
        found_in = ""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                error, found_in = await send()
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as failure:
            error = type(failure).__name__
        now = time.perf_counter()
        self.asked.append(Asked(kind, began - self._began, (now - began) * 1000, error, found_in))

    async def think(self) -> None:
        """As long as a reader does."""
        await asyncio.sleep(self._random.uniform(*self.load.think))


def _asker(language: str, *, marked: bool = True) -> Callable[..., Awaitable[None]]:
    """Asks single questions."""

    async def visit(crowd: Crowd, kind: str, connector: aiohttp.BaseConnector) -> None:
        async with aiohttp.ClientSession(
            crowd.load.address, connector=connector, connector_owner=False
        ) as web:
            for _ in range(QUESTIONS):
                question = crowd.question(language)
                body = {"question": question if marked else fold_diacritics(question)}
                await crowd.ask(kind, lambda body=body: _posted(web, "/api/ask", body))  # type: ignore[misc]
                await crowd.think()

    return visit


def _converser(language: str, *, streamed: bool) -> Callable[..., Awaitable[None]]:
    """Begins a session and asks in it."""
    headers = {"Accept": "text/event-stream"} if streamed else {}

    async def visit(crowd: Crowd, kind: str, connector: aiohttp.BaseConnector) -> None:
        async with aiohttp.ClientSession(
            crowd.load.address, connector=connector, connector_owner=False
        ) as web:
            path = ""

            async def begin_and_ask(question: str) -> Told:
                nonlocal path
                if not path:
                    async with web.post("/api/chat/sessions", json={}) as response:
                        if response.status != 201:
                            return f"status {response.status}", ""
                        path = f"/api/chat/sessions/{(await response.json())['id']}/messages"
                return await _posted(web, path, {"question": question}, headers)

            for _ in range(QUESTIONS):
                question = crowd.question(language)
                await crowd.ask(kind, lambda question=question: begin_and_ask(question))  # type: ignore[misc]
                await crowd.think()

    return visit


async def _posted(
    web: aiohttp.ClientSession, path: str, body: Any, headers: dict[str, str] | None = None
) -> Told:
    """Send, and read the whole answer."""
    async with web.post(path, json=body, headers=headers) as response:
        content = await response.read()
    if response.status != 200:
        return f"status {response.status}", ""
    if response.content_type == "text/event-stream":
        content = content.rpartition(b"event: answer\ndata: ")[2]
    answer = json.loads(content)
    return ("", answer["cache"].get("retrieval", "")) if "sources" in answer else ("no answer", "")


def _reader(language: str, *, marked: bool = True) -> Callable[..., Awaitable[None]]:
    """Opens the chat page, and asks there."""

    async def visit(crowd: Crowd, kind: str, connector: aiohttp.BaseConnector) -> None:
        web = aiohttp.ClientSession(connector=connector, connector_owner=False)
        tab = Tab(crowd.load.address, web)
        try:
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    await tab.open()
            except Exception as failure:
                crowd.asked.append(
                    Asked(kind, 0.0, TIMEOUT_SECONDS * 1000, f"page: {type(failure).__name__}")
                )
                return
            await crowd.think()
            for _ in range(QUESTIONS):
                question = crowd.question(language)
                question = question if marked else fold_diacritics(question)

                async def send(question: str = question) -> Told:
                    await tab.ask(question)
                    return (tab.errors.pop() if tab.errors else "", "")

                await crowd.ask(kind, send)
                await crowd.think()
        finally:
            await tab.close()
            await web.close()

    return visit


REST: dict[str, Callable[..., Awaitable[None]]] = {
    "asks in Vietnamese": _asker("vi"),
    "asks without diacritics": _asker("vi", marked=False),
    "asks in English": _asker("en"),
    "converses": _converser("vi", streamed=False),
    "follows the stream": _converser("en", streamed=True),
}
BROWSER: dict[str, Callable[..., Awaitable[None]]] = {
    "page, Vietnamese": _reader("vi"),
    "page, without diacritics": _reader("vi", marked=False),
    "page, English": _reader("en"),
}


def told(asked: Sequence[Asked]) -> str:
    """As JSON."""
    return json.dumps([asdict(one) for one in asked])


def main() -> None:
    load = Load(**json.load(sys.stdin))
    print(told(uvloop.run(Crowd(load).run())))


if __name__ == "__main__":
    main()
