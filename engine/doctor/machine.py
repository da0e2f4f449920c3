"""The machine: room on disk, a folder that can be written, cores and memory for what is asked."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import psutil

from engine.doctor.check import Check, Parts
from engine.documents.parsing.confinement import available

LITTLE_BYTES = 2_000_000_000
NONE_BYTES = 200_000_000


async def check_disk(parts: Parts) -> Sequence[Check]:
    """DOSSIER_HOME is written to, and measured."""
    return await asyncio.to_thread(_disk, parts.settings.dossier_home.expanduser())


def _disk(home: Path) -> list[Check]:
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home) as file:
            file.write(b"x" * 4096)
            file.flush()
        free = shutil.disk_usage(home).free
    except OSError as error:
        return [
            Check(
                "disk",
                "failed",
                f"{home} cannot be written: {error.strerror}.",
                "Give this user the folder, or set DOSSIER_HOME.",
            )
        ]
    seen = f"{home} can be written; {free / 1e9:,.1f} GB free."
    if free < NONE_BYTES:
        return [Check("disk", "failed", seen, "Make room now: PostgreSQL stops when the disk is full.")]
    if free < LITTLE_BYTES:
        return [Check("disk", "warning", seen, "Make room before it is full.")]
    return [Check("disk", "ok", seen)]


async def check_memory(parts: Parts) -> Sequence[Check]:
    """What parsing may take against what is there."""
    settings = parts.settings
    memory = psutil.virtual_memory()
    free, total = memory.available / 1e9, memory.total / 1e9
    seen = f"{free:,.1f} of {total:,.1f} GB available, {psutil.cpu_count()} cores."
    wanted = settings.ingest_concurrency * settings.parse_memory_bytes
    if wanted > memory.total:
        return [
            Check(
                "memory",
                "warning",
                seen,
                f"INGEST_CONCURRENCY × PARSE_MEMORY_BYTES is {wanted / 1e9:,.1f} GB: lower one of them.",
            )
        ]
    if memory.available < 500_000_000:
        return [Check("memory", "warning", seen, "Stop something else, or give the machine more.")]
    return [Check("memory", "ok", seen)]


async def check_confinement(parts: Parts) -> Sequence[Check]:
    """Which of the layers that confine the reading of files this system has."""
    missing = sorted({"landlock", "seccomp"} - available())
    if not missing:
        return [
            Check("confinement", "ok", "Files are read without a network and write into one folder only.")
        ]
    return [
        Check(
            "confinement",
            "warning",
            f"This system has no {' and no '.join(missing)}: of what confines the reading of files, "
            "Python's own watch and the limits on time, memory and writing hold.",
            "Use Linux 5.13 or newer on x86-64 or arm64 where files come from strangers.",
        )
    ]
