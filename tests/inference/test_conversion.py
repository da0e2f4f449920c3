"""Weights are converted once, whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.errors import ModelUnavailable
from engine.inference.conversion import converted
from engine.retrieval.embedders import EmbedderOptions
from engine.retrieval.embedders.e5 import load_e5

ROOT = Path(__file__).resolve().parents[2]


def _write(folder: Path) -> None:
    (folder / "weights").write_text("made")


def test_the_second_time_nothing_is_converted(tmp_path: Path) -> None:
    folder = converted(tmp_path / "models", "m", _write)
    assert (folder / "weights").read_text() == "made"

    def never(folder: Path) -> None:
        raise AssertionError("converted again")

    assert converted(tmp_path / "models", "m", never) == folder


def test_a_failed_conversion_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        _write(folder)
        raise ValueError("broken weights")

    with pytest.raises(ValueError, match="broken weights"):
        converted(tmp_path, "m", fail)
    assert list(tmp_path.iterdir()) == []
    assert converted(tmp_path, "m", _write).is_dir()


def test_what_a_killed_conversion_left_is_swept(tmp_path: Path) -> None:
    left = tmp_path / ".converting-old"
    left.mkdir()
    os.utime(left, (time.time() - 7200,) * 2)
    running = tmp_path / ".converting-now"
    running.mkdir()
    converted(tmp_path, "m", _write)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".converting-now", "m"]


def test_whoever_finishes_second_uses_the_first_ones_result(tmp_path: Path) -> None:
    def overtaken(folder: Path) -> None:
        (folder / "weights").write_text("late")
        converted(tmp_path, "m", _write)

    assert (converted(tmp_path, "m", overtaken) / "weights").read_text() == "made"
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelUnavailable, match="file"):
        converted(tmp_path / "file" / "models", "m", _write)


def test_two_processes_that_start_at_once_both_get_the_model(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from engine.retrieval.embedders import EmbedderOptions
from engine.retrieval.embedders.e5 import load_e5
model = load_e5(EmbedderOptions(Path(sys.argv[1]), threads=1))
print(model.embed([model.prepare("xin chào", True)])[0].vector.shape)
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    assert [process.communicate(timeout=60)[0].strip() for process in processes] == ["(384,)", "(384,)"]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_damaged_model_says_what_to_delete(tmp_path: Path) -> None:
    load_e5(EmbedderOptions(tmp_path, threads=1))
    [folder] = tmp_path.iterdir()
    (folder / "model.bin").write_bytes(b"")
    with pytest.raises(ModelUnavailable, match="Delete the folder"):
        load_e5(EmbedderOptions(tmp_path, threads=1))
