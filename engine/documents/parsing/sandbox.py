"""Files read in a process of their own: whatever one does to its reader, only that process ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.documents.model import PageImage, ParsedDocument
from engine.documents.parsing import ParsingLimits, check_name, format_of
from engine.documents.parsing.wire import unpack, unpack_page
from engine.errors import UnreadableFile

log = logging.getLogger(__name__)

_ROOT = Path(__file__).resolve().parents[3]
_PROGRAMS = os.pathsep.join(("/usr/local/bin", "/usr/bin", "/bin", "/opt/homebrew/bin", "/snap/bin"))
_CHUNK = 1 << 20
_KEPT_ERRORS = 4_000  # bytes of what the process complained about, for the log
_BYTES_PER_CHARACTER = 8  # of the packed result: UTF-8, JSON's escapes, kinds and headers
_LEAST_RESULT = 50_000_000
_OUT_OF_TIME = {-getattr(signal, "SIGXCPU", signal.SIGTERM)}
_OUT_OF_MEMORY = {-signal.SIGABRT, -getattr(signal, "SIGKILL", signal.SIGTERM)}


async def parse_in_process(content: bytes | Path, file_name: str, limits: ParsingLimits) -> ParsedDocument:
    """Parse a file in a child process, bounded and confined; cancelling kills it.

    Raises UnreadableFile: what `parse` raises, ``timeout`` past `limits.timeout_seconds`,
    ``too-complex`` past `limits.max_memory_bytes`, ``damaged`` for a crash.
    """
    file_name = check_name(file_name)
    format_of(file_name)
    packed = await _run({}, content, file_name, limits)
    try:
        return await asyncio.to_thread(unpack, packed, file_name)
    except ValueError as error:
        raise _crash(file_name, 0) from error


async def draw_in_process(
    content: bytes, pages: tuple[int, int], quote: str, scale: float, limits: ParsingLimits
) -> tuple[int, PageImage]:
    """The first of a PDF's pages (from, to) that holds the quote, drawn as `find_page` does.

    Raises NotFound for pages that are not there, and UnreadableFile as `parse_in_process`.
    """
    name = "document.pdf"
    draw = {"first": pages[0], "last": pages[1], "quote": quote, "scale": scale}
    packed = await _run({"draw": draw}, content, name, limits)
    try:
        return unpack_page(packed, name)
    except ValueError as error:
        raise _crash(name, 0) from error


async def _run(work: dict[str, Any], content: bytes | Path, file_name: str, limits: ParsingLimits) -> bytes:
    """What the child writes about a file. Raises UnreadableFile for a child that does not end well."""
    async with _as_path(content, file_name, limits) as (folder, path):
        task = {"path": str(path), "folder": str(folder), "file_name": file_name, "limits": asdict(limits)}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "engine.documents.parsing.child",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            cwd=_ROOT, env=_environment(folder), start_new_session=True, limit=_CHUNK,
        )  # fmt: skip
        try:
            async with asyncio.timeout(limits.timeout_seconds):
                packed, complaints = await _talk(process, json.dumps(task | work).encode(), file_name, limits)
        except TimeoutError:
            raise UnreadableFile(
                file_name,
                "timeout",
                f"reading it takes longer than {limits.timeout_seconds:g} seconds.",
                hint="Split it, or raise PARSE_TIMEOUT_SECONDS.",
            ) from None
        finally:
            await _end(process)
    if process.returncode != 0:
        log.warning("Reading %r ended with %s: %s", file_name, process.returncode, complaints)
        raise _crash(file_name, process.returncode or 0)
    return packed


def _environment(folder: Path) -> dict[str, str]:
    """What the process may know: where programs and packages are, and no secret of the server."""
    return {
        "PATH": _PROGRAMS,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(folder),
        "TMPDIR": str(folder),
    }


@asynccontextmanager
async def _as_path(
    content: bytes | Path, file_name: str, limits: ParsingLimits
) -> AsyncIterator[tuple[Path, Path]]:
    """A folder for the process, and the file, under a name of ours: never under its own."""
    if isinstance(content, bytes) and len(content) > limits.max_file_bytes:
        raise UnreadableFile(
            file_name,
            "too-large",
            f"it has {len(content) / 1e6:,.1f} MB.",
            hint="Split it, or raise MAX_UPLOAD_BYTES.",
        )
    with tempfile.TemporaryDirectory(prefix="dossier-") as name:
        folder = Path(name).resolve()
        if isinstance(content, Path):
            yield folder, await asyncio.to_thread(content.resolve)
            return
        path = folder / "upload"
        await asyncio.to_thread(path.write_bytes, content)
        yield folder, path


async def _talk(
    process: asyncio.subprocess.Process, task: bytes, file_name: str, limits: ParsingLimits
) -> tuple[bytes, str]:
    """Hand over the task; the result and the end of what the process complained about."""
    assert process.stdin and process.stdout and process.stderr
    complaining = asyncio.create_task(_tail(process.stderr))
    try:
        # A process that has died already: uvloop says so by a RuntimeError.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, RuntimeError):
            process.stdin.write(task)
            await process.stdin.drain()
            process.stdin.close()
        longest = _LEAST_RESULT + _BYTES_PER_CHARACTER * limits.max_text_characters
        packed = bytearray()
        while chunk := await process.stdout.read(_CHUNK):
            packed += chunk
            if len(packed) > longest:
                raise UnreadableFile(file_name, "too-large", "its text is too long.", hint="Split it.")
        await process.wait()
        return bytes(packed), await complaining
    finally:
        complaining.cancel()


async def _tail(stream: asyncio.StreamReader) -> str:
    kept = b""
    while chunk := await stream.read(_CHUNK):
        kept = (kept + chunk)[-_KEPT_ERRORS:]
    return kept.decode("utf-8", "replace").strip()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the process, if it did not end well, and whatever it started, such as a converter."""
    if process.returncode == 0:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        elif process.returncode is None:
            process.kill()
    await process.wait()


def _crash(file_name: str, code: int) -> UnreadableFile:
    if code in _OUT_OF_TIME:
        return UnreadableFile(
            file_name,
            "timeout",
            "reading it takes too long.",
            hint="Split it, or raise PARSE_TIMEOUT_SECONDS.",
        )
    if code in _OUT_OF_MEMORY:
        return UnreadableFile(
            file_name,
            "too-complex",
            "reading it needs too much memory.",
            hint="Split it, or raise PARSE_MEMORY_BYTES.",
        )
    return UnreadableFile(
        file_name,
        "damaged",
        "its reader crashed on it; it is damaged, or made to harm.",
        hint="Open it in the program that made it and save it again.",
    )
