"""What ingestion is asked to do and how far it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal
from uuid import UUID

FileStage = Literal[
    "waiting", "parsing", "embedding", "storing", "done", "unchanged", "replaced", "failed", "cancelled"
]
FINISHED: frozenset[FileStage] = frozenset({"done", "unchanged", "replaced", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to ingest: its name as the user knows it, and its content or where it lies."""

    file_name: str
    content: bytes | Path


@dataclass(frozen=True, slots=True)
class FileProgress:
    """One file of a job. done, total: units of the stage (passages while embedding)."""

    file_name: str
    stage: FileStage = "waiting"
    done: int = 0
    total: int = 0
    message: str = ""
    hint: str = ""
    document_id: int | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A batch of files being ingested."""

    id: UUID
    files: tuple[FileProgress, ...]
    created_at: datetime

    @property
    def finished(self) -> bool:
        return all(file.stage in FINISHED for file in self.files)
