"""Parsing in a process of its own: whatever a file does to its parser, only that process ends."""

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

from engine.documents.model import ParsedDocument
from engine.documents.parsing import ParsingLimits, check_name, format_of
from engine.documents.parsing.wire import unpack
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
    """Parse a file in a child process, bounded in time and memory; cancelling kills it.

    Raises UnreadableFile: what `parse` raises, ``timeout`` past `limits.timeout_seconds`,
    ``too-complex`` past `limits.max_memory_bytes`, ``damaged`` for a crash.
    """
    file_name = check_name(file_name)
    format_of(file_name)
    async with _as_path(content, file_name, limits) as path:
        task = json.dumps({"path": str(path), "file_name": file_name, "limits": asdict(limits)})
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "engine.documents.parsing.child",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            cwd=_ROOT, env=_environment(), start_new_session=True, limit=_CHUNK,
        )  # fmt: skip
        try:
            async with asyncio.timeout(limits.timeout_seconds):
                packed, complaints = await _talk(process, task.encode(), file_name, limits)
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
        log.warning("Parsing %r ended with %s: %s", file_name, process.returncode, complaints)
        raise _crash(file_name, process.returncode or 0)
    try:
        return await asyncio.to_thread(unpack, packed, file_name)
    except ValueError as error:
        raise _crash(file_name, 0) from error


def _environment() -> dict[str, str]:
    """What the process may know: where programs and packages are, and no secret of the server."""
    return {"PATH": _PROGRAMS, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONUTF8": "1"}


@asynccontextmanager
async def _as_path(content: bytes | Path, file_name: str, limits: ParsingLimits) -> AsyncIterator[Path]:
    """The file on disk, where converters need it and the child can read it piece by piece."""
    if isinstance(content, Path):
        yield await asyncio.to_thread(content.resolve)
        return
    if len(content) > limits.max_file_bytes:
        raise UnreadableFile(
            file_name,
            "too-large",
            f"it has {len(content) / 1e6:,.1f} MB.",
            hint="Split it, or raise MAX_UPLOAD_BYTES.",
        )
    with tempfile.TemporaryDirectory(prefix="dossier-") as folder:
        path = Path(folder) / "upload"
        await asyncio.to_thread(path.write_bytes, content)
        yield path


async def _talk(
    process: asyncio.subprocess.Process, task: bytes, file_name: str, limits: ParsingLimits
) -> tuple[bytes, str]:
    """Hand over the task; the result and the end of what the process complained about."""
    assert process.stdin and process.stdout and process.stderr
    complaining = asyncio.create_task(_tail(process.stderr))
    try:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
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
