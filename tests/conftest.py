"""Fixtures: one real PostgreSQL for the run, engines on schemas of their own."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from engine.engine import Engine, open_engine
from engine.settings import Settings, load_settings
from engine.storage.embedded import embedded_postgres

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"

OpenEngine = Callable[..., AbstractAsyncContextManager[Engine]]

_schemas = itertools.count(1)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _clean_environment() -> Iterator[None]:
    """Settings of whoever runs the tests must not reach them."""
    patch = pytest.MonkeyPatch()
    for name in Settings.model_fields:
        patch.delenv(name.upper(), raising=False)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real documents and test collections, which lie beside the repository."""
    if not SHARED.is_dir():
        pytest.skip("the shared documents (../shared/data) are not here")
    return SHARED


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DOSSIER_HOME of the run, of all its workers. DOSSIER_TEST_HOME keeps prepared models between runs."""
    if kept := os.environ.get("DOSSIER_TEST_HOME"):
        return Path(kept)
    run = tmp_path_factory.getbasetemp()
    shared = (run.parent if "PYTEST_XDIST_WORKER" in os.environ else run) / "dossier"
    shared.mkdir(exist_ok=True)
    return shared


@pytest.fixture(scope="session")
async def database_url(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The embedded PostgreSQL, one for the whole run."""
    async with embedded_postgres(tmp_path_factory.mktemp("pg") / "postgres") as url:
        yield url


@pytest.fixture(scope="session")
def make_settings(database_url: str, home: Path) -> Callable[..., Settings]:
    """Settings on the run's database, each call on a schema of its own."""

    def make(**given: object) -> Settings:
        defaults: dict[str, object] = {
            "database_url": database_url,
            "dossier_home": home,
            "database_schema": f"test_{next(_schemas)}",
            "database_pool_size": 5,
        }
        return load_settings(_env_file=None, **(defaults | given))

    return make


@pytest.fixture(scope="session")
def open_test_engine(make_settings: Callable[..., Settings]) -> OpenEngine:
    """Opens a fresh engine: ``async with open_test_engine(setting=value) as engine``."""

    @asynccontextmanager
    async def opened(**given: object) -> AsyncIterator[Engine]:
        async with open_engine(make_settings(**given)) as engine:
            yield engine

    return opened


@pytest.fixture
async def engine(open_test_engine: OpenEngine) -> AsyncIterator[Engine]:
    """An empty engine."""
    async with open_test_engine() as opened:
        yield opened
