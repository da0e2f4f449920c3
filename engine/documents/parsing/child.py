"""The process that reads one file: `python -m engine.documents.parsing.child`.

Reads one task as JSON from standard input, bounds and confines itself, and writes what `wire`
makes of the result to standard output.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

from engine.documents.parsing import ParsingLimits, format_of, parse
from engine.documents.parsing.confinement import confine
from engine.documents.parsing.wire import pack, pack_page
from engine.errors import NotFound, UnreadableFile

TOO_COMPLEX = "reading it needs too much memory."
TOO_COMPLEX_HINT = "Split it, or raise PARSE_MEMORY_BYTES."


def main() -> None:
    task = json.load(sys.stdin)
    limits = ParsingLimits(**task["limits"])
    # A library that prints must not write into the result.
    result_stream = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    converted = format_of(task["file_name"]) == "doc"
    _bound(limits, written=limits.max_uncompressed_bytes if converted else 0)
    confine(Path(task["folder"]), Path(task["path"]), programs=converted)
    try:
        packed = _do(task, limits)
    except (UnreadableFile, NotFound) as error:
        packed = pack(error)
    except MemoryError:
        packed = pack(UnreadableFile(task["file_name"], "too-complex", TOO_COMPLEX, hint=TOO_COMPLEX_HINT))
    with result_stream:
        result_stream.write(packed)
    sys.stdout.flush()
    os._exit(0)  # nothing is left to tidy, and freeing a large document takes long


def _do(task: dict[str, Any], limits: ParsingLimits) -> bytes:
    path = Path(task["path"])
    if "draw" not in task:
        return pack(parse(path, task["file_name"], limits))
    from engine.documents.page_images import find_page

    return pack_page(*find_page(path.read_bytes(), **task["draw"]))


def _bound(limits: ParsingLimits, *, written: int) -> None:
    """Limit this process's memory, processor time and files, where the system can.

    written: bytes that a file of its own may have.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    seconds = math.ceil(limits.timeout_seconds) + 1
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (written, written))
    if sys.platform == "linux":  # elsewhere address space is not what is used
        with contextlib.suppress(ValueError, OSError):
            _, most = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (limits.max_memory_bytes, most))


if __name__ == "__main__":
    main()
