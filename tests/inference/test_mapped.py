"""What is read of an array on disk does not stay in memory for good."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import psutil
import pytest

from engine.inference.mapped import ROWS_KEPT, MappedRows

ROWS, WIDTH = 60_000, 256


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="nothing can be let go here")
def test_rows_are_read_as_they_are_and_let_go_again(tmp_path: Path) -> None:
    numbers = np.arange(ROWS, dtype=np.float32)[:, None] + np.zeros(WIDTH, np.float32)
    np.save(tmp_path / "rows.npy", numbers)
    size = numbers.nbytes
    del numbers
    rows = MappedRows(np.load(tmp_path / "rows.npy", mmap_mode="r"))
    before = psutil.Process().memory_info().rss
    drawn = np.random.default_rng(1)
    for _ in range(60):
        ids = drawn.integers(0, ROWS, ROWS_KEPT).astype(np.int32)
        assert (rows[ids] == ids[:, None]).all()
    held = []
    for _ in range(3):  # at least once since they were let go
        rows[np.zeros(ROWS_KEPT, np.int32)]
        held.append(psutil.Process().memory_info().rss - before)
    assert min(held) < size / 2, (held, size)
