"""Secrets come from the environment, and are told to nobody: not in errors, logs, features or traces."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

import pytest

from engine.engine import open_engine
from engine.errors import BadInput, DossierError
from engine.settings import Settings, load_settings
from tests.conftest import ROOT, OpenEngine

pytestmark = pytest.mark.anyio
SECRET = "hunter2-never-to-be-seen"
AS_SECRETS = {
    "openai_api_key": SECRET,
    "reranker_api_key": SECRET,
    "reranker_url": f"http://user:{SECRET}@127.0.0.1:9/rerank?key={SECRET}",
    "redis_url": f"redis://:{SECRET}@127.0.0.1:9/0",
    "otlp_headers": f"authorization={SECRET}",
    "database_url": f"postgresql://dossier:{SECRET}@127.0.0.1:9/dossier",
    "pgbouncer_url": f"postgresql://dossier:{SECRET}@127.0.0.1:9/dossier",
}


def test_settings_show_none() -> None:
    settings = load_settings(_env_file=None, **AS_SECRETS)
    for shown in (repr(settings), str(settings), f"{settings!r:s}"):
        assert SECRET not in shown


WRONG = (
    f"OPENAI_APIKEY={SECRET}",
    f"DATABASE_URL=mysql://x:{SECRET}@h/d",
    f"PGBOUNCER_URL={SECRET}",
    f"OTLP_HEADERS={SECRET}",
    f"OTLP_ENDPOINT=ftp://{SECRET}",
)


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_setting_is_named_without_its_secret(line: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(line + "\n")
    with pytest.raises(BadInput) as caught:
        load_settings(_env_file=tmp_path / ".env")
    told = "".join(traceback.format_exception(caught.value))
    if not line.startswith("OTLP_ENDPOINT"):  # an address without a login is no secret
        assert SECRET not in told
    assert line.split("=")[0] in str(caught.value)


async def test_a_database_that_is_not_there_tells_no_password(
    caplog: pytest.LogCaptureFixture, home: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = load_settings(
        _env_file=None,
        dossier_home=home,
        database_url=AS_SECRETS["database_url"],
        database_pool_timeout_seconds=0.5,
    )
    with pytest.raises(DossierError) as caught:
        async with open_engine(settings):
            pass
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in caplog.text


async def test_an_engine_tells_none(open_test_engine: OpenEngine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    given = {
        name: value
        for name, value in AS_SECRETS.items()
        if "database" not in name and "pgbouncer" not in name
    }
    opened = open_test_engine(
        **given,
        openai_base_url="http://127.0.0.1:9/v1",
        openai_max_retries=0,
        enable_redis_cache=True,
        enable_redis_sessions=True,
        default_reranker_type="remote",
        otlp_endpoint="http://127.0.0.1:9",
    )
    async with opened as engine:
        answer = await engine.ask("Is anything here?")
        told = [
            repr(answer),
            repr(await engine.features()),
            repr(await engine.diagnose()),
            repr(engine.traces.recent()),
            (await engine.metrics.exposition()).decode(),
        ]
    for text in told:
        assert SECRET not in text
    assert SECRET not in caplog.text


def test_none_is_in_the_repository_and_none_is_read_from_elsewhere() -> None:
    assert ".env" in (ROOT / ".gitignore").read_text().split()
    named = [
        name for name in Settings.model_fields if name.endswith(("_key", "_headers", "_password", "_token"))
    ]
    assert named
    for name in named:
        assert "SecretStr" in str(Settings.model_fields[name].annotation), name
