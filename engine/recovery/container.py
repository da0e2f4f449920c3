"""The file of a backup: a ZIP of the database's dump and a manifest that vouches for it.

Any ZIP program opens it, and PostgreSQL's own pg_restore reads the dump inside: a backup is
of use without Dossier, too. The manifest is written last; a file without one is not whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from pydantic import TypeAdapter, ValidationError

from engine.errors import BadInput
from engine.storage.migrate import revisions
from engine.zip_files import UNREADABLE_ZIP

FORMAT = "dossier-backup"
FORMAT_VERSION = 1
DUMP = "database.dump"
MANIFEST = "manifest.json"
CHUNK_BYTES = 1 << 20
_MANIFEST_BYTES = 10_000_000

Progress = Callable[[str, int, int], None]  # what, done, of how much


@dataclass(frozen=True, slots=True)
class TableContent:
    """rows: how many. digest: of all of them, whatever their order."""

    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the backup."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds, and what made it. tables: those whose rows are in it, by name.

    postgres: the server's major version. tools: pg_dump's. revision: the schema's migration.
    """

    application: str
    made_at: str
    schema: str
    revision: str
    postgres: int
    tools: int
    tables: dict[str, TableContent]
    parts: dict[str, Part]
    format: str = FORMAT
    format_version: int = FORMAT_VERSION


class Writing:
    """A backup being written."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file

    @contextmanager
    def part(self, name: str) -> Iterator[Callable[[bytes], None]]:
        """Takes the part's pieces."""
        with self._file.open(zipfile.ZipInfo(name), "w", force_zip64=True) as out:
            yield lambda piece: void(out.write(piece))

    def manifest(self, manifest: Manifest) -> None:
        """Ends the backup."""
        self._file.writestr(MANIFEST, json.dumps(asdict(manifest), ensure_ascii=False, indent=1))


def void(_: object) -> None:
    """For a call whose result is of no use."""


class Hashed:
    """Counts and hashes what passes through."""

    def __init__(self, to: Callable[[bytes], object] = void) -> None:
        self._to = to
        self._sha256 = hashlib.sha256()
        self._bytes = 0

    def __call__(self, piece: bytes) -> None:
        self._sha256.update(piece)
        self._bytes += len(piece)
        self._to(piece)

    @property
    def part(self) -> Part:
        """What has passed."""
        return Part(self._bytes, self._sha256.hexdigest())


@contextmanager
def writing(target: Path) -> Iterator[Writing]:
    """A backup that appears under its name when it is whole and on the disk, and not before.

    Only its owner may read it. Raises BadInput where it cannot be written.
    """
    _refuse_existing(target)
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise BadInput(f"{target} cannot be written ({error.strerror}).") from error
    try:
        with open(descriptor, "wb") as raw:  # noqa: PTH123 (a descriptor)
            with zipfile.ZipFile(raw, "w") as file:
                yield Writing(file)
            raw.flush()
            os.fsync(raw.fileno())
        read_manifest(unfinished, lambda *_: None)
        _refuse_existing(target)
        unfinished.rename(target)
        _sync_folder(target.parent)
    except OSError as error:
        raise BadInput(
            f"{target} cannot be written ({error.strerror}).", hint="Nothing was left there."
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def read_manifest(path: Path, progress: Progress) -> Manifest:
    """Read a backup from its first byte to its last.

    Raises BadInput that says why it cannot be used: absent, foreign, cut short, damaged, too new.
    """
    try:
        with zipfile.ZipFile(path) as file:
            manifest = _manifest(file, path)
            if {info.filename for info in file.infolist()} != {MANIFEST, *manifest.parts}:
                raise _damaged(path)
            for name, part in manifest.parts.items():
                seen = Hashed()
                with file.open(name) as opened:
                    for piece in _pieces(opened):
                        seen(piece)
                        progress("checking the file", seen.part.bytes, part.bytes)
                if seen.part != part:
                    raise _damaged(path)
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}).") from error
    except UNREADABLE_ZIP as error:
        if _begins_as_a_zip(path):
            raise _damaged(path) from error
        raise _foreign(path) from error
    return manifest


@contextmanager
def reading(path: Path, name: str) -> Iterator[Iterator[bytes]]:
    """The pieces of a part of a backup that has been checked."""
    with zipfile.ZipFile(path) as file, file.open(name) as opened:
        yield _pieces(opened)


def _refuse_existing(target: Path) -> None:
    if os.path.lexists(target):
        raise BadInput(f"{target} is there already; nothing was written.", hint="Choose another name.")


def _manifest(file: zipfile.ZipFile, path: Path) -> Manifest:
    try:
        entry = file.getinfo(MANIFEST)
    except KeyError as error:
        raise _foreign(path) from error
    if entry.file_size > _MANIFEST_BYTES:
        raise _foreign(path)
    content = file.read(entry)
    try:
        told: Any = json.loads(content)
        if not isinstance(told, dict) or told.get("format") != FORMAT:
            raise _foreign(path)
        if told.get("format_version") != FORMAT_VERSION:
            raise _newer(path, told)
        manifest = TypeAdapter(Manifest).validate_python(told)
    except (ValidationError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise _damaged(path) from error
    if manifest.revision not in revisions():
        raise _newer(path, told)
    if set(manifest.parts) != {DUMP}:
        raise _damaged(path)
    return manifest


def _pieces(opened: IO[bytes]) -> Iterator[bytes]:
    while piece := opened.read(CHUNK_BYTES):
        yield piece


def _begins_as_a_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _foreign(path: Path) -> BadInput:
    return BadInput(f"{path} is not a backup of Dossier.")


def _damaged(path: Path) -> BadInput:
    return BadInput(
        f"{path} is damaged or not whole; nothing was restored from it.", hint="Take another copy of it."
    )


def _newer(path: Path, told: dict[str, Any]) -> BadInput:
    return BadInput(
        f"{path} was made by another Dossier ({str(told.get('application'))[:20]}) than this one can read.",
        hint="Restore it with that version, or a newer one.",
    )
