"""Run in a confined process: everything that a parser taken over by its file might try.

    python -m tests.security.attempts FOLDER FILE OUTSIDE PROGRAMS

Prints, as JSON, what each attempt came to: an error's name, or "done". With a last argument
"native" the attempts go round Python's audit hooks, as machine code would.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from engine.documents.parsing.confinement import confine

libc = ctypes.CDLL(None, use_errno=True)


def native(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), "")


def attempts(folder: Path, file: Path, outside: Path, parent: int) -> dict[str, Callable[[], object]]:
    inside = folder / "inside"
    target = os.fsencode(outside / "planted")
    return {
        "read the file": file.read_bytes,
        "write into its folder": lambda: inside.write_text("x"),
        "import a package": lambda: __import__("docx"),
        "make a TCP socket": lambda: socket.create_connection(("127.0.0.1", 1), 0.2),
        "make a UDP socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(
            b"x", ("127.0.0.1", 9)
        ),
        "make an IPv6 socket": lambda: socket.create_connection(("::1", 1), 0.2),
        "make a unix socket": lambda: socket.socket(socket.AF_UNIX).connect("/tmp/none"),
        "look a name up": lambda: socket.getaddrinfo("localhost", 80),
        "write outside": lambda: (outside / "planted").write_text("x"),
        "write over a file": lambda: (outside / "secret").write_text("x"),
        "make a folder outside": lambda: (outside / "folder").mkdir(),
        "remove a file": lambda: (outside / "secret").unlink(),
        "move a file out": lambda: inside.rename(outside / "moved"),
        "link out": lambda: (outside / "link").symlink_to("/etc/passwd"),
        "read a secret": lambda: (outside / "secret").read_text(),
        "read through a link": lambda: _through_a_link(folder, outside),
        "look into its parent": lambda: Path(f"/proc/{parent}/environ").read_bytes(),
        "start a program": lambda: subprocess.run(["/bin/true"], check=True),
        "signal its parent": lambda: os.kill(parent, 0),
        "native: make a socket": lambda: native(libc.socket(2, 1, 0)),
        "native: make a unix socket": lambda: native(libc.socket(1, 1, 0)),
        "native: set up io_uring": lambda: native(libc.syscall(425, 8, ctypes.create_string_buffer(256))),
        "native: trace its parent": lambda: native(libc.ptrace(16, parent, None, None)),
        "native: write outside": lambda: native(libc.open(target, os.O_WRONLY | os.O_CREAT, 0o600)),
        "native: start a program": lambda: _exec(),
        "native: leave its namespace": lambda: native(libc.unshare(0x40000000)),
    }


def _through_a_link(folder: Path, outside: Path) -> None:
    link = folder / "link"
    link.symlink_to(outside / "secret")
    link.read_text()


def _exec() -> None:
    child = libc.fork()
    if child == 0:
        libc.execl(b"/bin/true", b"true", None)
        os._exit(ctypes.get_errno())
    _, status = os.waitpid(child, 0)
    if code := os.waitstatus_to_exitcode(status):
        raise OSError(code, "")


def main() -> None:
    folder, file, outside = map(Path, sys.argv[1:4])
    held = confine(folder, file, programs=sys.argv[4] == "yes")
    results = {"held": sorted(held)}
    for name, attempt in attempts(folder, file, outside, os.getppid()).items():
        try:
            attempt()
            results[name] = "done"  # type: ignore[assignment]
        except Exception as error:
            results[name] = type(error).__name__  # type: ignore[assignment]
    print(json.dumps(results))


if __name__ == "__main__":
    main()
