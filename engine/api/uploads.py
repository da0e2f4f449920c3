"""Files of a request, kept until they have been taken in."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import UploadFile

from engine.documents.jobs import Upload

IN_MEMORY = 1_000_000  # bytes; a larger file waits on disk

_waiting: set[asyncio.Task[None]] = set()  # the loop itself holds tasks weakly


@dataclass(slots=True)
class Kept:
    """The files as ingestion takes them. folder: where the large ones lie."""

    uploads: list[Upload] = field(default_factory=list)
    folder: Path | None = None

    def until(self, work: Coroutine[Any, Any, object]) -> None:
        """Remove the files when the work has ended, and not before."""
        folder, self.folder = self.folder, None

        async def outlive() -> None:
            try:
                await work
            finally:
                _remove(folder)

        task = asyncio.create_task(outlive(), name="uploaded files")
        _waiting.add(task)
        task.add_done_callback(_waiting.discard)


@asynccontextmanager
async def keep(files: Sequence[UploadFile]) -> AsyncIterator[Kept]:
    """Take the files out of the request; they are removed unless `until` has been called."""
    kept = Kept()
    try:
        for number, file in enumerate(files):
            content: bytes | Path
            if (file.size or 0) <= IN_MEMORY:
                content = await file.read()
            else:
                kept.folder = kept.folder or Path(
                    await asyncio.to_thread(tempfile.mkdtemp, prefix="dossier-")
                )
                content = kept.folder / str(number)
                await asyncio.to_thread(_copy, file.file, content)
            kept.uploads.append(Upload(file.filename or "", content))
        yield kept
    finally:
        _remove(kept.folder)


async def fingerprint(files: Sequence[UploadFile]) -> str:
    """What two uploads of the same files have in common, however the request cut them up."""

    def hashed(file: UploadFile) -> str:
        digest = hashlib.sha256()
        while piece := file.file.read(1_000_000):
            digest.update(piece)
        file.file.seek(0)
        return f"{file.filename!r} {digest.hexdigest()}"

    return "\n".join([await asyncio.to_thread(hashed, file) for file in files])


def _copy(source: BinaryIO, target: Path) -> None:
    with target.open("wb") as out:
        shutil.copyfileobj(source, out, 1_000_000)


def _remove(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
