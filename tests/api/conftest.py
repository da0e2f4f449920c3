"""The routes behind a real server and socket, over a real engine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx2 as httpx
import pytest
import uvicorn
from starlette.types import ASGIApp

from engine.api import make_api
from engine.documents.jobs import Upload
from engine.engine import Engine
from tests.conftest import OpenEngine
from tests.openai_server import OpenAIServer

FILES = {
    "mua sắm.md": "# Quy chế mua sắm\n\n## Điều 5. Bảo đảm dự thầu\n\n"
    "Mức bảo đảm dự thầu là 2% giá gói thầu. Bảo đảm có hiệu lực 120 ngày.\n\n"
    "## Điều 6. Hội đồng\n\nHội đồng xét thầu có năm thành viên do giám đốc chỉ định.\n",
    "travel.md": "# Travel policy\n\n## Meals\n\nMeals abroad are refunded up to 45 euros a day. "
    "Receipts are handed in within ten days.\n\n## Trains\n\nTrains are booked in second class.\n",
}
QUESTION = "How much is refunded for meals abroad?"

Serve = Callable[[Engine], AbstractAsyncContextManager[httpx.AsyncClient]]


@asynccontextmanager
async def serving(
    engine: Engine, make: Callable[[Callable[[], Engine]], ASGIApp] = make_api
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server of its own over that engine. make: what is served, by default the API."""
    config = uvicorn.Config(
        make(lambda: engine), port=0, lifespan="off", log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        await running


async def stock(engine: Engine) -> None:
    """Two documents, in Vietnamese and in English."""
    job = await engine.ingestion.submit([Upload(name, text.encode()) for name, text in FILES.items()])
    await engine.ingestion.wait(job.id)


async def settled(check: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Wait until something holds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not check():
                await asyncio.sleep(0.01)
    return check()


@pytest.fixture(scope="package")
def language_model() -> Iterator[OpenAIServer]:
    with OpenAIServer() as running:
        yield running


@pytest.fixture(scope="package")
async def quoting(open_test_engine: OpenEngine) -> AsyncIterator[Engine]:
    async with open_test_engine() as engine:
        await stock(engine)
        yield engine


@pytest.fixture(scope="package")
async def writing(open_test_engine: OpenEngine, language_model: OpenAIServer) -> AsyncIterator[Engine]:
    async with open_test_engine(
        openai_api_key="sk-secret", openai_base_url=language_model.url, openai_max_retries=0
    ) as engine:
        await stock(engine)
        yield engine


@pytest.fixture(scope="package")
async def client(quoting: Engine) -> AsyncIterator[httpx.AsyncClient]:
    """Answers are quotes; tests leave the two documents as they are."""
    async with serving(quoting) as opened:
        yield opened


@pytest.fixture(scope="package")
async def written(writing: Engine) -> AsyncIterator[httpx.AsyncClient]:
    """Answers are written by the local language model."""
    async with serving(writing) as opened:
        yield opened
