"""Programs that use REST under crashes, and write down whatever was acknowledged to them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import uuid4

import httpx2 as httpx

from engine.documents.model import STATUSES
from engine.errors import DatabaseUnavailable
from engine.operations.choices import RERANKER, THRESHOLD, Choices

RETRY_SECONDS = 0.1
PAUSE_SECONDS = 0.3  # longest between two works of one client
REQUEST_SECONDS = 8.0
READ_BACK = 10  # sessions, and documents
EDITED: dict[str, Callable[[], object]] = {
    "tags": lambda: [uuid4().hex],
    "title": lambda: f"Tập {uuid4().hex}",
    "status": lambda: random.choice(STATUSES),
}


@dataclass
class Ledger:
    """What was acknowledged. uploads: file name → SHA-256. words: file name → one that only it holds.

    turns: session → ids in their order. votes: by turn. edits: (document, field) → value.
    choices: what operators chose, by name. done: writes, by kind.
    """

    uploads: dict[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    documents: dict[str, int] = field(default_factory=dict)
    turns: dict[str, list[int]] = field(default_factory=dict)
    votes: dict[int, str] = field(default_factory=dict)
    edits: dict[tuple[int, str], object] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)
    done: dict[str, int] = field(
        default_factory=lambda: {"upload": 0, "turn": 0, "vote": 0, "edit": 0, "choice": 0}
    )
    refused: list[str] = field(default_factory=list)

    def count(self, kind: str) -> None:
        """One more write that must last."""
        self.done[kind] += 1


class Clients:
    """Some of each kind, at once, until they are paused; a request that fails is sent again."""

    def __init__(self, address: str, ledger: Ledger, choices: Choices) -> None:
        """choices: those of another process on the same database, as an operator would have it."""
        self.ledger = ledger
        self._choices = choices
        self._client = httpx.AsyncClient(base_url=address, timeout=REQUEST_SECONDS)
        self._running = asyncio.Event()
        self._idle = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._number = 0
        self.failures: list[str] = []

    async def __aenter__(self) -> Clients:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    def start(self) -> None:
        """Let them work."""
        self._running.set()
        if not self._tasks:
            works: list[Callable[[], Awaitable[None]]] = [
                self._upload,
                self._talk,
                self._talk,
                # Each field has an editor of its own: none may undo what another does to the same document.
                *(partial(self._edit, name, value) for name, value in EDITED.items()),
                self._choose,
            ]
            self._tasks = [asyncio.create_task(self._again_and_again(work)) for work in works]

    async def pause(self) -> None:
        """Wait until each has finished what it is at, with success."""
        self._running.clear()
        while self._idle < len(self._tasks):
            for task in self._tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.02)

    async def served(self) -> float:
        """Seconds from now until a question sent after now has been answered and kept."""
        began = time.monotonic()
        session = await self._session()
        await self._ask(session, "How high is the deposit?")
        return time.monotonic() - began

    async def read_back(self) -> list[str]:
        """Whether the app serves what was acknowledged, from whatever cache or copy: some of it."""
        found = []
        for session, ids in list(self.ledger.turns.items())[-READ_BACK:]:
            history = (await self._sent("GET", f"/api/chat/sessions/{session}/history?limit=200")).json()
            told = [(turn["id"], turn["vote"]) for turn in history["turns"]]
            if told != [(i, self.ledger.votes.get(i)) for i in ids]:
                found.append(f"session {session} is served as {told}")
        known = list(self.ledger.words.items())
        for name, word in random.sample(known, min(len(known), READ_BACK)):
            asked = {"question": word, "search": "bm25", "k": 1}
            passages = (await self._sent("POST", "/api/search", json=asked)).json()["passages"]
            if not passages or word not in passages[0]["text"]:
                found.append(f"{name} is not found by its words")
        return found

    async def _again_and_again(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            if not self._running.is_set():
                self._idle += 1
                await self._running.wait()
                self._idle -= 1
            await work()
            await asyncio.sleep(random.uniform(0, PAUSE_SECONDS))

    async def _upload(self) -> None:
        """A new file, a new version of one, or the same again; sometimes twice at the same moment."""
        known = list(self.ledger.uploads)
        if known and random.random() < 0.4:
            name = random.choice(known)
        else:
            self._number += 1
            name = f"tập {self._number}.md"
        word = uuid4().hex
        text = f"Item {word} costs {random.randint(1, 999)} euros."
        content = (
            f"# {name}\n\n{text}\n\n## Deposit\n\nThe deposit of {name} is {len(known)} euros.\n".encode()
        )
        sent = [self._taken_in(name, content) for _ in range(random.choice((1, 1, 2)))]
        ids = await asyncio.gather(*sent)
        self.ledger.uploads[name] = hashlib.sha256(content).hexdigest()
        self.ledger.documents[name], self.ledger.words[name] = ids[0], word
        self.ledger.count("upload")
        if len(set(ids)) != 1:
            self.ledger.refused.append(f"{name} became several documents: {ids}")

    async def _taken_in(self, name: str, content: bytes) -> int:
        """The document's id, once its upload is done; a job that has died is begun again."""
        while True:
            files = {"files": (name, content, "text/markdown")}
            job = await self._sent("POST", "/api/documents", key=True, files=files)
            while True:
                told = await self._sent("GET", f"/api/jobs/{job.json()['id']}", gone_too=True)
                if told.status_code == 404:
                    break
                (file,) = told.json()["files"]
                if file["stage"] in ("done", "unchanged", "replaced"):
                    return int(file["document_id"])
                if file["stage"] in ("failed", "cancelled"):
                    self.failures.append(file["message"])
                    break
                await asyncio.sleep(0.05)

    async def _session(self) -> str:
        begun = await self._sent("POST", "/api/chat/sessions", key=True, json={})
        session = str(begun.json()["id"])
        self.ledger.turns[session] = []
        return session

    async def _talk(self) -> None:
        """A session with some turns, and votes on them."""
        session = await self._session()
        for _ in range(random.randint(1, 3)):
            name = random.choice(list(self.ledger.uploads) or ["anything"])
            turn_id = await self._ask(session, f"How high is the deposit of {name}?")
            if random.random() < 0.6:
                vote = random.choice(("up", "down"))
                await self._sent(
                    "PUT", f"/api/chat/sessions/{session}/turns/{turn_id}/vote", json={"vote": vote}
                )
                self.ledger.votes[turn_id] = vote
                self.ledger.count("vote")

    async def _ask(self, session: str, question: str) -> int:
        asked = {"question": question}
        answered = await self._sent("POST", f"/api/chat/sessions/{session}/messages", key=True, json=asked)
        turn_id = int(answered.json()["turn_id"])
        self.ledger.turns[session].append(turn_id)
        self.ledger.count("turn")
        return turn_id

    async def _edit(self, name: str, value: Callable[[], object]) -> None:
        if not self.ledger.documents:
            await asyncio.sleep(0.05)
            return
        document_id = random.choice(list(self.ledger.documents.values()))
        given = value()
        await self._sent("PATCH", f"/api/documents/{document_id}", json={name: given})
        self.ledger.edits[document_id, name] = given
        self.ledger.count("edit")

    async def _choose(self) -> None:
        """Another answer threshold, and now and then another default reranker."""
        name, value = THRESHOLD, f"{random.uniform(0, 0.2):.4f}"
        if random.random() < 0.2:
            name, value = RERANKER, random.choice(("built-in", "none"))
        while True:
            with contextlib.suppress(DatabaseUnavailable):
                await self._choices.choose(name, value)
                break
            await asyncio.sleep(RETRY_SECONDS)
        self.ledger.choices[name] = value
        self.ledger.count("choice")

    async def _sent(
        self, method: str, path: str, *, key: bool = False, gone_too: bool = False, **given: Any
    ) -> httpx.Response:
        """Sent until it is answered as it should be: again and again, under one key."""
        headers = {"Idempotency-Key": uuid4().hex} if key else {}
        while True:
            with contextlib.suppress(httpx.TransportError):
                response = await self._client.request(method, path, headers=headers, **given)
                if response.is_success or (gone_too and response.status_code == 404):
                    return response
                if response.status_code not in (409, 429, 500, 502, 503, 504):
                    raise AssertionError(f"{method} {path}: {response.status_code} {response.text[:500]}")
                if response.status_code == 500:
                    self.failures.append(f"{method} {path}: {response.text[:300]}")
            await asyncio.sleep(RETRY_SECONDS)
