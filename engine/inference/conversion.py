"""Weights converted once, kept in a folder."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import ModelUnavailable

_ABANDONED_SECONDS = 3600


def converted(models_folder: Path, name: str, convert: Callable[[Path], None]) -> Path:
    """The folder `name` under `models_folder`, filled by `convert` if it is not there yet.

    Other processes see it whole or not at all: it is written beside and renamed. Of several
    that convert at once, the first to finish wins and the others use its result.
    Raises ModelUnavailable if the folder cannot be written.
    """
    target = models_folder / name
    if target.is_dir():
        return target
    try:
        models_folder.mkdir(parents=True, exist_ok=True)
        for left in models_folder.glob(".converting-*"):  # by a process that was killed
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        beside = Path(tempfile.mkdtemp(prefix=".converting-", dir=models_folder))
        try:
            convert(beside)
            beside.chmod(0o755)
            try:
                beside.rename(target)
            except OSError:
                if not target.is_dir():
                    raise
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise ModelUnavailable(
            f"The model {name} cannot be prepared in {models_folder}: {error.strerror or error}.",
            hint="Make the folder writable, with 300 MB free.",
        ) from error
    return target


_MADE_ANEW = "Delete the folder; it is made anew at the next start."


@contextmanager
def reading(folder: Path, *, hint: str = _MADE_ANEW) -> Iterator[None]:
    """Turns what libraries raise over a damaged folder into ModelUnavailable. hint: what mends it."""
    try:
        yield
    except ModelUnavailable:
        raise
    except Exception as error:  # each library has its own, some of no family
        raise ModelUnavailable(f"The model in {folder} cannot be read.", hint=hint) from error


@contextmanager
def only_one(target: Path) -> Iterator[None]:
    """Of several processes that prepare `target`, one at a time; where files can be locked."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f".preparing-{target.name}").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
