"""One confined process that reads many files, for tests that would otherwise start one for each.

    with Reader() as reader:
        outcome = reader.read("a.pdf", content)

It is confined and bounded as the parsing process is (`engine/documents/parsing/child.py`), and then
does what follows in the server: passages, metadata, outline, language. A file that kills it or
holds it longer than `seconds` costs the process, which is started anew, and shows in the outcome.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from engine.documents.ingestion import outline_of
from engine.documents.metadata import guess_metadata
from engine.documents.parsing import ParsingLimits, parse
from engine.documents.parsing.child import _bound
from engine.documents.parsing.confinement import confine
from engine.documents.parsing.sandbox import _crash
from engine.documents.passages import split_passages
from engine.errors import UnreadableFile
from engine.text.languages import detect_language
from tests.conftest import ROOT

_HEAD = struct.Struct("!II")  # bytes of the name and of the content
LIMITS = ParsingLimits(timeout_seconds=30.0)


@dataclass(frozen=True)
class Outcome:
    """What became of a file. reason: of its refusal; ``read``, or ``hung``, ``fault``.

    message: what its sender is told, or the fault. text: of what was read. seconds: it took.
    """

    reason: str
    message: str = ""
    text: str = ""
    seconds: float = 0.0


class Reader:
    """A process, started at the first file."""

    def __init__(self, seconds: float = 20.0) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="reader-")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self._folder.cleanup()

    def read(self, name: str, content: bytes) -> Outcome:
        """Have a file read."""
        process = self._started()
        assert process.stdin and process.stdout
        encoded = name.encode("utf-8", "surrogatepass")
        hung = threading.Timer(self._seconds, process.kill)
        hung.start()
        began = time.monotonic()
        try:
            process.stdin.write(_HEAD.pack(len(encoded), len(content)) + encoded + content)
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = b""
        finally:
            hung.cancel()
        seconds = time.monotonic() - began
        if not line:
            code = process.wait()
            self._process = None
            if code == -signal.SIGKILL and seconds >= self._seconds:
                return Outcome("hung", seconds=seconds)
            refusal = _crash(name, code)  # what the server makes of it
            return Outcome(refusal.reason, str(refusal), seconds=seconds)
        return Outcome(**json.loads(line), seconds=seconds)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.security.reading", self._folder.name],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            assert self._process.stdout
            assert self._process.stdout.readline() == b"ready\n"  # its start is not the file's time
        return self._process

    def _stop(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait(10)


def main() -> None:
    """The process."""
    folder = Path(sys.argv[1]).resolve()
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # The tests' own packages lie in the project, which a parser may not read: all of it is loaded now.
    _warm_up()
    _bound(ParsingLimits(timeout_seconds=3_600), written=0)
    confine(folder, folder)
    out.write(b"ready\n")
    out.flush()
    stream = sys.stdin.buffer
    while head := stream.read(_HEAD.size):
        name_length, length = _HEAD.unpack(head)
        name = stream.read(name_length).decode("utf-8", "surrogatepass")
        outcome = _outcome(stream.read(length), name)
        out.write(json.dumps(outcome).encode() + b"\n")
        out.flush()


def _warm_up() -> None:
    from tests.documents.make_files import Sheet, docx, pdf, pdf_page, pptx, xlsx

    for name, content in {
        "a.docx": docx("Text."),
        "a.pptx": pptx([("a", ["b"], "")]),
        "a.xlsx": xlsx(Sheet("s", [["a"]])),
        "a.pdf": pdf([pdf_page("text")]),
        "a.html": b"<p>x",
        "a.md": b"# x\n\ny",
        "a.csv": b"a,b\n1,2\n",
        "a.txt": "Một văn bản.".encode(),
        "b.txt": b"Dies ist ein Satz in einer Sprache, die weder Englisch noch Vietnamesisch ist. " * 5,
    }.items():
        _outcome(content, name)


def _outcome(content: bytes, name: str) -> dict[str, Any]:
    try:
        parsed = parse(content, name, LIMITS)
        drafts = split_passages(parsed)
        guess_metadata(parsed, name)
        outline_of(parsed, drafts)
        text = "\n".join(draft.text for draft in drafts)
        detect_language(text[:20_000])
        return {"reason": "read", "text": text[:10_000]}
    except UnreadableFile as error:
        return {"reason": error.reason, "message": str(error)}
    except MemoryError:
        return {"reason": "too-complex", "message": f"{name}: memory"}
    except Exception:
        return {"reason": "fault", "message": traceback.format_exc()[-2000:]}


if __name__ == "__main__":
    main()
