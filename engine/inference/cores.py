"""How many threads a model runs on."""

from __future__ import annotations

import os


def cores(threads: int) -> int:
    """`threads`, or where that is 0 as many as this process has cores."""
    if threads:
        return threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
