"""Dossier in an operating system process of its own, told line by line what to do.

python -m tests.caching.other_process, with its settings and then its orders as lines of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from engine.documents.jobs import Upload
from engine.documents.model import DocumentFilter
from engine.documents.queries import DocumentQuery
from engine.engine import Engine, open_engine
from engine.settings import Settings, load_settings
from tests.conftest import ROOT

SECONDS = 60.0  # to open an engine, or to follow an order


class OwnProcess:
    """An engine of this process."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def store(self, name: str, text: str) -> None:
        """Take a document in, or its next version."""
        job = await self.engine.ingestion.submit([Upload(f"{name}.txt", text.encode())])
        await self.engine.ingestion.wait(job.id)

    async def remove(self, name: str) -> None:
        """Delete the document."""
        listed = await self.engine.documents.list(DocumentQuery(DocumentFilter(text=name)))
        await self.engine.documents.delete([document.id for document in listed.rows])

    async def ask(self, question: str) -> set[str]:
        """Texts of all sources of the answer; the cited ones are among them."""
        answer = await self.engine.ask(question)
        sources = {source.passage.text for source in answer.sources}
        assert {citation.passage.text for citation in answer.citations} <= sources
        return sources

    async def models_run(self) -> list[str]:
        """Which models the latest question needed: ``model`` (the embedder), ``reranker``."""
        latest = self.engine.traces.recent(1)[0]
        return [span.name for span in latest.spans if span.name in ("model", "reranker")]


class OtherProcess:
    """The same of another process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def store(self, name: str, text: str) -> None:
        await self._order("store", name, text)

    async def remove(self, name: str) -> None:
        await self._order("remove", name)

    async def ask(self, question: str) -> set[str]:
        return {*await self._order("ask", question)}

    async def models_run(self) -> list[str]:
        return [*await self._order("models_run")]

    async def _order(self, *order: str) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        async with asyncio.timeout(SECONDS):
            line = await self._process.stdout.readline()
        assert line, "The other process has ended."
        return json.loads(line)


@asynccontextmanager
async def other_process(settings: Settings) -> AsyncIterator[OtherProcess]:
    """Start one with the settings that were given, and end it."""
    given = settings.model_dump(include=settings.model_fields_set, mode="json")
    given["redis_url"] = settings.redis_url.get_secret_value()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", "-m", __name__),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        other = OtherProcess(process)
        assert await other._order(json.dumps(given)) == "ready"
        yield other
    finally:
        assert process.stdin
        process.stdin.close()
        await asyncio.wait_for(process.wait(), SECONDS)


async def _serve() -> None:
    async def orders() -> AsyncIterator[list[str]]:
        while line := await asyncio.to_thread(sys.stdin.readline):
            yield json.loads(line)

    lines = orders()
    (given,) = await anext(lines)
    async with open_engine(load_settings(_env_file=None, **json.loads(given))) as engine:
        own = OwnProcess(engine)
        print(json.dumps("ready"), flush=True)
        async for name, *arguments in lines:
            done = await getattr(own, name)(*arguments)
            print(json.dumps([*done] if isinstance(done, set) else done), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve())
