"""What the engine offers to programs, and the house rules that keep it so."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import engine
from engine.version import VERSION

from .conftest import ROOT


def test_the_public_names() -> None:
    assert engine.__all__ == ["DossierError", "Engine", "Settings", "load_settings", "open_engine"]
    for name in engine.__all__:
        assert getattr(engine, name)


def test_importing_the_engine_loads_no_model_library_and_no_front_end() -> None:
    heavy = "{'torch', 'transformers', 'FlagEmbedding', 'streamlit', 'openai', 'sklearn'}"
    code = f"import sys, engine.engine; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_files_stay_short_enough_to_be_read() -> None:
    for folder, longest in (("engine", 400), ("app", 400), ("pages", 100)):
        for path in (ROOT / folder).rglob("*.py"):
            assert len(path.read_text(encoding="utf-8").splitlines()) <= longest, path


def test_every_promise_about_failures_names_a_test_that_is_there() -> None:
    table = (ROOT / "docs" / "degraded.md").read_text(encoding="utf-8").split("| --- |", 1)[1]
    rows = [row.split("|")[-2] for row in table.splitlines()[1:] if row.startswith("|")]
    assert len(rows) > 20
    for named in rows:
        tests = re.findall(r"`(tests/[\w/]+\.py)`", named)
        assert tests, named
        for path in tests:
            assert (ROOT / path).is_file(), path


def test_it_is_started_the_same_way_everywhere() -> None:
    started = []
    for place in ("Makefile", "Procfile", "deploy/systemd/dossier@.service"):
        options = (ROOT / place).read_text(encoding="utf-8").partition("uvicorn app.server:app ")[2]
        started.append(re.findall(r"--(?!host|port)\S+ \S+", options.partition("\n")[0]))
    assert started[0] == started[1] == started[2]
    # nginx keeps an idle connection for 60 s: one that the app closed before would cost a question.
    assert "--timeout-keep-alive 75" in started[0]


def test_the_version_is_told_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
