"""A parser that its file has taken over reaches neither the network, nor the disk, nor another process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.doctor.machine import check_confinement
from engine.documents.parsing import ParsingLimits
from engine.documents.parsing.confinement import available
from engine.documents.parsing.sandbox import draw_in_process, parse_in_process
from engine.documents.parsing.wire import unpack, unpack_page
from engine.errors import NotFound, UnreadableFile
from tests.conftest import ROOT
from tests.documents.make_files import docx, pdf, pdf_page

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(available() != {"seccomp", "landlock"}, reason="this kernel cannot confine all of it"),
]
ALLOWED = {"read the file", "write into its folder", "import a package"}


def attempt(tmp_path: Path, programs: str, user: int | None = None) -> dict[str, str]:
    outside = tmp_path / "outside"
    folder = tmp_path / "folder"
    for path in (outside, folder):
        path.mkdir()
        path.chmod(0o777)
    (outside / "secret").write_text("a secret")
    (outside / "secret").chmod(0o666)
    file = tmp_path / "upload"
    file.write_bytes(b"content")
    done = subprocess.run(
        [sys.executable, "-m", "tests.security.attempts", *map(str, (folder, file, outside)), programs],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        user=user,
    )
    assert (outside / "secret").read_text() == "a secret"
    assert [path.name for path in outside.iterdir()] == ["secret"]
    results: dict[str, str] = json.loads(done.stdout)
    return results


def test_nothing_of_what_it_tries_succeeds(tmp_path: Path) -> None:
    results = attempt(tmp_path, "no")
    assert results.pop("held") == ["landlock", "seccomp"]  # type: ignore[comparison-overlap]
    assert {name for name, came_to in results.items() if came_to == "done"} == ALLOWED, results


def test_a_converter_may_be_started_and_is_confined_as_well(tmp_path: Path) -> None:
    results = attempt(tmp_path, "yes")
    results.pop("held")
    done = {name for name, came_to in results.items() if came_to == "done"}
    programs = {"start a program", "native: start a program", "native: make a unix socket"}
    assert done - {"signal its parent"} == ALLOWED | programs, results


def test_it_can_signal_itself_alone_also_where_landlock_cannot_tell() -> None:
    code = (
        "import ctypes, os; from engine.documents.parsing import confinement;"
        "libc = ctypes.CDLL(None, use_errno=True); libc.prctl(38, 1, 0, 0, 0);"
        "confinement._refuse_calls(libc, programs=False); os.kill(os.getpid(), 0);"
        "told = [libc.kill(os.getppid(), 0), libc.tgkill(os.getppid(), os.getppid(), 0)];"
        "print(told, flush=True); os.abort()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ("[-1, -1]", -signal.SIGABRT), done.stderr


async def test_files_are_read_and_pages_drawn_in_there() -> None:
    parsed = await parse_in_process(docx("Some text."), "a.docx", ParsingLimits())
    assert parsed.blocks[0].text == "Some text."
    file = pdf([pdf_page("The first page."), pdf_page("The second page says it.")])
    page, image = await draw_in_process(file, (1, 2), "second page says it", 1.0, ParsingLimits())
    assert (page, image.found, len(image.boxes)) == (2, True, 1)
    assert image.png.startswith(b"\x89PNG") and image.width > 500
    with pytest.raises(NotFound):
        await draw_in_process(file, (7, 7), "x", 1.0, ParsingLimits())
    with pytest.raises(UnreadableFile):
        await draw_in_process(b"%PDF-1.7 nothing", (1, 1), "x", 1.0, ParsingLimits())


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\0",
        b"\0[]",
        b"\0{}",
        b'\0{"reason": 1, "message": "x", "hint": ""}',
        b"{}",
        b"[" * 100_000,
        b'{"blocks": [["script", "x", 0, null, ""]], "title": "", "page_count": null, "properties": {}}',
        b'{"blocks": [["code", 7, 0, null, ""]], "title": "", "page_count": null, "properties": {}}',
        b'{"blocks": [["code", "x", -1, null, ""]], "title": "", "page_count": null, "properties": {}}',
        b'{"blocks": [], "title": "", "page_count": 1e999, "properties": {}}',
        b'{"blocks": [], "title": "", "page_count": null, "properties": {"author": {}}}',
        b"y" + b"\xff" * 16,
        b"y" + b"\0" * 16 + b"<svg>",
        os.urandom(1000),
    ],
)
def test_what_a_process_sends_is_not_trusted(sent: bytes) -> None:
    for read in (unpack, unpack_page):
        with pytest.raises((ValueError, UnreadableFile)):
            read(sent, "a.txt")


async def test_it_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with pytest.raises(UnreadableFile):
        await parse_in_process(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 5000, "a.doc", ParsingLimits())
    task = asyncio.create_task(parse_in_process(b"word " * 2_000_000, "a.txt", ParsingLimits()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert list(tmp_path.iterdir()) == []


def test_memory_time_and_what_is_written_are_limited() -> None:
    told = (
        "from engine.documents.parsing.child import ParsingLimits, _bound; from pathlib import Path;"
        "_bound(ParsingLimits(), written=0); print(Path('/proc/self/limits').read_text())"
    )
    done = subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True)
    limits = " ".join(done.stdout.split())
    assert "Max file size 0 0" in limits and "Max core file size 0" in limits
    assert "Max address space 2000000000" in limits and "Max cpu time 121 122" in limits


async def test_a_system_that_cannot_confine_all_of_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = None  # it looks at the system alone
    assert (await check_confinement(parts))[0].status == "ok"  # type: ignore[arg-type]
    monkeypatch.setattr("engine.documents.parsing.confinement._landlock_version", lambda: 0)
    told = (await check_confinement(parts))[0]  # type: ignore[arg-type]
    assert told.status == "warning" and "no landlock" in told.seen and told.advice
