"""How many threads a model runs on."""

from __future__ import annotations

import os

from threadpoolctl import threadpool_limits


def cores(threads: int) -> int:
    """`threads`, or where that is 0 as many as this process has cores."""
    if threads:
        return threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def one_thread_a_product() -> None:
    """Have numpy multiply matrices in the thread that asks, for the whole process.

    Late interaction multiplies many small ones in several threads at once. OpenBLAS would share
    each among all cores, whose threads then wait for each other in busy loops: a fresh question
    took 3.5 times the processor time, on cores that others want.
    """
    threadpool_limits(1, user_api="blas")
