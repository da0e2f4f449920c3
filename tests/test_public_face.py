"""What the engine offers to programs, and the house rules that keep it so."""

from __future__ import annotations

import subprocess
import sys

import engine

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
