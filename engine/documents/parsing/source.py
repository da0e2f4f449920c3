"""A file as the parsers see it."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from engine.documents.parsing.limits import ParsingLimits
from engine.errors import UnreadableFile


@dataclass(frozen=True)
class Source:
    """The file, under the name that people know it by, and the limits that it must keep."""

    file_name: str
    content: Path | bytes
    limits: ParsingLimits

    @property
    def extension(self) -> str:
        """Lower case, without the dot."""
        return Path(self.file_name).suffix.lower().removeprefix(".")

    @cached_property
    def size(self) -> int:
        """Bytes."""
        return self.content.stat().st_size if isinstance(self.content, Path) else len(self.content)

    def read(self) -> bytes:
        """All of it."""
        return self.content.read_bytes() if isinstance(self.content, Path) else self.content

    def head(self, size: int = 4096) -> bytes:
        """Its first bytes."""
        with self.open() as file:
            return file.read(size)

    def open(self) -> BinaryIO:
        """A seekable stream of it."""
        return self.content.open("rb") if isinstance(self.content, Path) else io.BytesIO(self.content)

    def at(self, path: Path) -> Source:
        """The same file after a conversion, which lies at `path`."""
        return replace(self, content=path)

    def refuse(self, reason: str, message: str, hint: str = "") -> UnreadableFile:
        """The error that says why this file cannot be read."""
        return UnreadableFile(self.file_name, reason, message, hint=hint)
