"""Rows of an array on disk, of which a process needs few at a time, from all over."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The system maps 64 KB around each row that is read: after some thousands of them all of the file counts as
# this process's memory, for good.
ROWS_KEPT = 1_024


class MappedRows:
    """Rows of an array whose base is a numpy.memmap; now and then what was mapped of it is let go."""

    def __init__(self, rows: NDArray[Any]) -> None:
        self._rows = rows
        self._mapping = _mapping_of(rows) if hasattr(mmap, "MADV_DONTNEED") else None  # not on Windows
        self._read = 0

    def __getitem__(self, ids: NDArray[np.int32]) -> NDArray[Any]:
        """A copy of these rows: (n, …)."""
        self._read += len(ids)
        if self._read > ROWS_KEPT and self._mapping is not None:
            self._read = 0
            self._mapping.madvise(mmap.MADV_DONTNEED)  # it comes back from the file, as read anew
        found: NDArray[Any] = self._rows[ids]
        return found


def _mapping_of(array: Any) -> mmap.mmap | None:
    while array is not None and not isinstance(array, mmap.mmap):
        array = getattr(array, "_mmap", None) or getattr(array, "base", getattr(array, "obj", None))
    return array
