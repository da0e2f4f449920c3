"""The doctor tries every part for real, finds what is wrong with it and says what to do."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from engine.doctor import Check, Parts, check, diagnose_alone
from engine.doctor.contradictions import check_settings
from engine.doctor.storage import _clock
from engine.engine import Engine
from engine.settings import Settings
from tests.conftest import ROOT, OpenEngine
from tests.observability.otlp_server import running as running_collector
from tests.openai_server import OpenAIServer
from tests.redis_server import RedisServer, binaries
from tests.storage.pgbouncer import running as running_pgbouncer

pytestmark = pytest.mark.anyio

MakeSettings = Callable[..., Settings]


def of(checks: list[Check], name: str) -> Check:
    found = [one for one in checks if one.name == name]
    assert len(found) == 1, found
    return found[0]


async def test_a_running_engine_is_well_and_says_what_it_saw(engine: Engine) -> None:
    checks = await engine.diagnose()
    assert {one.name: one.status for one in checks} == dict.fromkeys(
        [
            "database", "pgvector", "migrations", "clock", "pool", "connections", "pgBouncer", "Redis",
            "embedder", "reranker", "language model", "disk", "memory", "confinement", "traces", "settings",
        ],
        "ok",
    )  # fmt: skip
    async with engine.database.read() as db:
        version = (await db.execute(text("SHOW server_version"))).scalar_one()
    assert version in of(checks, "database").seen
    assert "1 of 5 taken" in of(checks, "pool").seen
    assert "384 dimensions" in of(checks, "embedder").seen


def command(home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
    return subprocess.run(
        [sys.executable, "-m", "engine", "doctor", "--json"],
        env=kept | {"DOSSIER_HOME": str(home), "PYTHONPATH": str(ROOT)} | environment,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_without_a_database_all_else_is_still_tried_and_the_status_says_so(home: Path) -> None:
    done = command(home, DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["ok"] is False
    checks = {one["name"]: one for one in told["checks"]}
    assert checks["database"]["status"] == "failed"
    assert "DATABASE_URL" in checks["database"]["advice"]
    assert checks["embedder"]["status"] == checks["disk"]["status"] == "ok"


def test_settings_that_cannot_be_read_are_a_failed_check(home: Path) -> None:
    done = command(home, USE_PGBOUNCER="true")
    assert done.returncode == 1
    (check,) = json.loads(done.stdout)["checks"]
    assert check["name"] == "settings"
    assert "PGBOUNCER_URL" in check["seen"]


async def test_a_schema_that_does_not_exist_yet_is_no_failure(make_settings: MakeSettings) -> None:
    checks = await diagnose_alone(make_settings())
    assert of(checks, "migrations").status == "warning"
    assert "first start" in of(checks, "migrations").advice
    assert "5 of 5 taken" in of(checks, "pool").seen
    assert not [one for one in checks if one.status == "failed"]


async def test_a_schema_of_another_version_is_told_apart(engine: Engine) -> None:
    table = f'"{engine.settings.database_schema}".alembic_version'
    for revision, status, words in (("0001", "warning", "up to date"), ("9999", "failed", "newer Dossier")):
        async with engine.database.write() as db:
            await db.execute(text(f"UPDATE {table} SET version_num = :to"), {"to": revision})
        found = of(await engine.diagnose(), "migrations")
        assert found.status == status
        assert words in found.advice


async def test_a_pool_larger_than_the_server_is_found(make_settings: MakeSettings) -> None:
    checks = await diagnose_alone(make_settings(database_pool_size=150))
    assert of(checks, "connections").status == "failed"
    assert "DATABASE_POOL_SIZE" in of(checks, "connections").advice
    assert of(checks, "pool").status == "failed"


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"), "ok", ""),
        (("--maxmemory", "64mb", "--maxmemory-policy", "noeviction"), "warning", "allkeys-lru"),
        ((), "warning", "maxmemory"),
    ],
)
async def test_redis_is_asked_for_its_memory(
    make_settings: MakeSettings, tmp_path: Path, options: tuple[str, ...], status: str, words: str
) -> None:
    server = RedisServer(tmp_path, next(iter(binaries().values())), *options)
    server.start()
    try:
        checks = await diagnose_alone(make_settings(enable_redis_cache=True, redis_url=server.url))
    finally:
        server.stop()
    assert of(checks, "Redis").status == status, of(checks, "Redis")
    assert words in of(checks, "Redis").advice


async def test_a_redis_that_takes_no_writes_or_is_gone_has_failed(
    open_test_engine: OpenEngine, tmp_path: Path
) -> None:
    server = RedisServer(tmp_path, next(iter(binaries().values())), "--maxmemory", "1mb")
    server.start()
    try:
        async with open_test_engine(
            enable_redis_cache=True, redis_url=server.url, redis_timeout_seconds=1
        ) as engine:
            with server.client() as client:
                client.config_set("maxmemory", 1)
            full = of(await engine.diagnose(), "Redis")
            assert full.status == "failed"
            assert "memory is full" in full.seen
            server.stop()
            gone = of(await engine.diagnose(), "Redis")
            assert gone.status == "failed"
            assert "REDIS_URL" in gone.advice
    finally:
        server.stop()


@pytest.mark.parametrize(("mode", "status"), [("transaction", "ok"), ("session", "warning")])
async def test_pgbouncer_is_asked_how_it_is_set_up(
    make_settings: MakeSettings, database_url: str, tmp_path: Path, mode: str, status: str
) -> None:
    folder = tmp_path / "pgbouncer"
    with running_pgbouncer(folder, database_url.replace("+asyncpg", ""), pool_mode=mode) as bouncer:
        settings = make_settings(use_pgbouncer=True, pgbouncer_url=bouncer.url)
        found = of(await diagnose_alone(settings), "pgBouncer")
        assert found.status == status, found
        assert f"{mode} mode" in found.seen
    gone = of(await diagnose_alone(settings), "pgBouncer")
    assert gone.status == "failed"


async def test_a_pgbouncer_with_too_few_servers_for_the_pool_is_found(
    make_settings: MakeSettings, database_url: str, tmp_path: Path
) -> None:
    few = {"default_pool_size": 2, "reserve_pool_size": 0, "query_wait_timeout": 1}
    with running_pgbouncer(tmp_path / "pgbouncer", database_url.replace("+asyncpg", ""), **few) as bouncer:
        found = await diagnose_alone(make_settings(use_pgbouncer=True, pgbouncer_url=bouncer.url))
    assert of(found, "pool").status == "failed"
    assert "default_pool_size" in of(found, "pool").advice
    assert of(found, "database").status == of(found, "pgBouncer").status == "ok"


async def test_an_address_that_leads_past_pgbouncer_is_found(
    make_settings: MakeSettings, database_url: str
) -> None:
    found = await diagnose_alone(make_settings(use_pgbouncer=True, pgbouncer_url=database_url))
    assert of(found, "pgBouncer").status == "failed"
    assert "PostgreSQL itself" in of(found, "pgBouncer").seen


async def test_a_wrong_embedder_or_reranker_is_named_with_the_choices(make_settings: MakeSettings) -> None:
    found = await diagnose_alone(make_settings(embedder="word2vec"))
    assert of(found, "embedder").status == "failed"
    assert "multilingual-e5-small" in of(found, "embedder").advice
    found = await diagnose_alone(make_settings(default_reranker_type="best"))
    assert of(found, "reranker").status == "failed"
    assert "built-in" in of(found, "reranker").advice


async def test_a_folder_that_cannot_be_written_is_found(make_settings: MakeSettings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    found = of(await diagnose_alone(make_settings(dossier_home=tmp_path / "file" / "home")), "disk")
    assert found.status == "failed"
    assert "DOSSIER_HOME" in found.advice


async def test_the_language_models_endpoint_is_asked(make_settings: MakeSettings) -> None:
    with OpenAIServer() as server:
        known = {"openai_api_key": "test", "openai_base_url": server.url}
        found = of(await diagnose_alone(make_settings(**known)), "language model")
        assert found.status in ("ok", "warning")
        assert "gpt-4o-mini" in found.seen
    found = of(await diagnose_alone(make_settings(**known)), "language model")
    assert found.status == "failed"
    assert "OPENAI_BASE_URL" in found.advice


async def test_the_collector_is_asked_without_sending_it_anything(make_settings: MakeSettings) -> None:
    with running_collector() as collector:
        found = await diagnose_alone(make_settings(otlp_endpoint=collector.url))
        assert of(found, "traces").status == "ok"
        assert collector.spans == []
    found = await diagnose_alone(make_settings(otlp_endpoint="http://127.0.0.1:9"))
    assert of(found, "traces").status == "warning"


CONTRADICTIONS: list[tuple[dict[str, object], str]] = [
    ({"pgbouncer_url": "postgresql://a@b/c"}, "USE_PGBOUNCER is off"),
    ({"redis_url": "redis://elsewhere:6379/0"}, "nothing uses Redis"),
    ({"l1_cache_maxsize": 0, "enable_postgres_cache": False}, "Every cache layer is off"),
    ({"l3_cache_max_bytes": 0}, "L3_CACHE_MAX_BYTES=0"),
    ({"enable_semantic_cache": True, "l1_cache_maxsize": 0}, "ENABLE_SEMANTIC_CACHE"),
    ({"embedder": "openai"}, "EMBEDDER=openai without"),
    ({"default_reranker_type": "openai"}, "DEFAULT_RERANKER_TYPE=openai without"),
    ({"default_reranker_type": "remote"}, "without RERANKER_URL"),
    ({"openai_model": "gpt-4o"}, "answers are quotes"),
    ({"model_threads": 256}, "models only get slower"),
    ({"default_retrieval_k": 3}, "DEFAULT_RERANK_TOP_N=5"),
    ({"request_timeout_seconds": 1}, "REQUEST_TIMEOUT_SECONDS=1"),
    ({"otlp_headers": "a=b"}, "OTLP_HEADERS"),
]


def alone(settings: Settings, *, running: bool = False) -> Parts:
    return Parts(settings, None, None, {}, None, None, running=running)


@pytest.mark.parametrize(("given", "words"), CONTRADICTIONS)
async def test_settings_that_contradict_each_other_are_named(
    make_settings: MakeSettings, given: dict[str, object], words: str
) -> None:
    found = await check_settings(alone(make_settings(**given)))
    assert [one.status for one in found] == ["warning"] * len(found)
    assert [one for one in found if words in one.seen and one.advice], found


async def test_an_embedder_without_token_vectors_cannot_serve_the_semantic_cache(
    open_test_engine: OpenEngine,
) -> None:
    with OpenAIServer() as server:
        async with open_test_engine(
            embedder="openai",
            openai_embedder_model="small",
            openai_api_key="test",
            openai_base_url=server.url,
            default_reranker_type="none",
            enable_semantic_cache=True,
        ) as engine:
            found = await engine.diagnose()
    assert "never hits" in of(found, "settings").seen


async def test_a_server_open_to_other_machines_without_key_and_limit_is_told(
    make_settings: MakeSettings,
) -> None:
    with socket.socket() as server:
        server.bind(("0.0.0.0", 0))
        server.listen()
        found = await check_settings(alone(make_settings(), running=True))
        address = f"0.0.0.0:{server.getsockname()[1]}"
        assert [one for one in found if address in one.seen and "RATE_LIMIT_ENABLED" in one.advice]
        assert [one for one in found if address in one.seen and "ACCESS_CONTROL" in one.advice]
        guarded = make_settings(rate_limit_enabled=True, access_control=True)
        assert [one.status for one in await check_settings(alone(guarded, running=True))] == ["ok"]


def test_clocks_apart_are_told() -> None:
    assert _clock(0.4).status == "ok"
    assert (_clock(-30).status, "behind" in _clock(-30).seen) == ("warning", True)


async def test_a_check_that_hangs_or_breaks_leaves_the_others(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs(_: Parts) -> list[Check]:
        await asyncio.Event().wait()
        return []

    async def breaks(_: Parts) -> list[Check]:
        raise ZeroDivisionError("why")

    async def well(_: Parts) -> list[Check]:
        return [Check("third", "ok", "there")]

    monkeypatch.setattr(check, "CHECK_SECONDS", 0.05)
    found = await check.run({"first": hangs, "second": breaks, "third": well}, alone(make_settings()))
    assert [(one.name, one.status) for one in found] == [
        ("first", "failed"), ("second", "failed"), ("third", "ok"),
    ]  # fmt: skip
