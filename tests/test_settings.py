"""Settings: typed, refused by name when wrong, all read, all in the README."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from engine.caching.caches import CacheOptions
from engine.documents.parsing import ParsingLimits
from engine.errors import BadInput
from engine.reranking.options import RerankerOptions
from engine.retrieval.embedders import EmbedderOptions
from engine.settings import Settings, load_settings

from .conftest import ROOT


def test_a_wrong_value_is_refused_with_its_name_and_what_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_POOL_SIZE", "many")
    with pytest.raises(BadInput, match=r"DATABASE_POOL_SIZE='many'.*integer"):
        load_settings(_env_file=None)


def test_a_typing_mistake_in_the_env_file_fails_at_start(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DEFAULT_RERANK_TOPN=3\n")
    with pytest.raises(BadInput, match="DEFAULT_RERANK_TOPN"):
        load_settings(_env_file=tmp_path / ".env")


def test_usual_spellings_of_a_database_address_are_understood() -> None:
    for url in ("postgres://a@b/c", "postgresql://a@b/c", "postgresql+asyncpg://a@b/c"):
        assert load_settings(_env_file=None, database_url=url).database_url == "postgresql+asyncpg://a@b/c"
    with pytest.raises(BadInput, match="DATABASE_URL"):
        load_settings(_env_file=None, database_url="mysql://a@b/c")


def test_secrets_are_not_shown() -> None:
    assert "sk-secret" not in repr(load_settings(_env_file=None, openai_api_key="sk-secret"))


def test_every_setting_is_in_the_readme_with_its_default() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = default.get_secret_value() if hasattr(default, "get_secret_value") else str(default)
        assert f"| `{name.upper()}` | {f'`{shown}`' if shown else 'empty'} | {field.description} |" in readme


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_read_somewhere(name: str) -> None:
    sources = [
        p for folder in ("engine", "app") for p in (ROOT / folder).rglob("*.py") if p.name != "settings.py"
    ]
    assert any(f".{name}" in path.read_text(encoding="utf-8") for path in sources)


@pytest.mark.parametrize("options", [CacheOptions, EmbedderOptions, ParsingLimits, RerankerOptions])
def test_what_a_setting_becomes_is_read_too(options: type[Any]) -> None:
    """By more than what passes it on."""
    readers = [p for p in (ROOT / "engine").rglob("*.py") if p.name not in ("options.py", "settings.py")]
    sources = "\n".join(path.read_text(encoding="utf-8") for path in readers)
    unread = [field.name for field in fields(options) if not re.search(rf"\.{field.name}\b", sources)]
    assert unread == []


def test_nothing_else_reads_the_environment() -> None:
    for folder in ("engine", "app", "pages"):
        for path in (ROOT / folder).rglob("*.py"):
            source = path.read_text(encoding="utf-8")
            assert "os.environ" not in source, path
            assert "getenv" not in source, path
