"""The process that parses one file: `python -m engine.documents.parsing.child`.

Reads {"path", "file_name", "limits"} as JSON from standard input, bounds itself, and writes
what `wire.pack` makes of the result to standard output.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from pathlib import Path

from engine.documents.model import ParsedDocument
from engine.documents.parsing import ParsingLimits, parse
from engine.documents.parsing.wire import pack
from engine.errors import UnreadableFile


def main() -> None:
    task = json.load(sys.stdin)
    limits = ParsingLimits(**task["limits"])
    # A library that prints must not write into the result.
    result_stream = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _bound(limits)
    result: ParsedDocument | UnreadableFile
    try:
        result = parse(Path(task["path"]), task["file_name"], limits)
        packed = pack(result)
    except UnreadableFile as error:
        packed = pack(error)
    except MemoryError:
        packed = pack(UnreadableFile(task["file_name"], "too-complex", TOO_COMPLEX, hint=TOO_COMPLEX_HINT))
    with result_stream:
        result_stream.write(packed)
    sys.stdout.flush()
    os._exit(0)  # nothing is left to tidy, and freeing a large document takes long


TOO_COMPLEX = "reading it needs too much memory."
TOO_COMPLEX_HINT = "Split it, or raise PARSE_MEMORY_BYTES."


def _bound(limits: ParsingLimits) -> None:
    """Limit this process's memory and processor time, where the system can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    seconds = math.ceil(limits.timeout_seconds) + 1
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # elsewhere address space is not what is used
        with contextlib.suppress(ValueError, OSError):
            _, most = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (limits.max_memory_bytes, most))


if __name__ == "__main__":
    main()
