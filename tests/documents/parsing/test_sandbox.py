"""Parsing in a process of its own: time, memory and crashes stay there."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pytest
import uvloop

from engine.documents.parsing import ParsingLimits, parse
from engine.documents.parsing.sandbox import parse_in_process
from engine.documents.parsing.wire import pack, unpack
from engine.errors import UnreadableFile
from tests.documents.make_files import VIETNAMESE, Sheet, docx, pdf, pdf_page, with_part, xlsx

pytestmark = pytest.mark.anyio
LIMITS = ParsingLimits()
ROOT = Path(__file__).resolve().parents[3]


def slow_file() -> bytes:
    """Some seconds of honest work."""
    return xlsx(*[Sheet(f"s{n}", [[VIETNAMESE] * 6] * 3_000) for n in range(8)])


async def test_gives_what_parsing_here_gives(tmp_path: Path) -> None:
    content = docx(("Heading 1", "Điều khoản"), VIETNAMESE, [["a", "b"], ["c", "d"]], title="Quy định")
    path = tmp_path / "kept elsewhere.bin"
    path.write_bytes(content)
    here = parse(content, "a.docx")
    assert await parse_in_process(content, "a.docx", LIMITS) == here
    assert await parse_in_process(path, "a.docx", LIMITS) == here


async def test_refusals_come_back_as_they_are() -> None:
    with pytest.raises(UnreadableFile) as caught:
        await parse_in_process(b"just words", "báo cáo: bản 2.pdf", LIMITS)
    with pytest.raises(UnreadableFile) as here:
        parse(b"just words", "báo cáo: bản 2.pdf")
    assert (caught.value.reason, str(caught.value)) == (here.value.reason, str(here.value))


async def test_several_at_once() -> None:
    contents = [f"Tài liệu số {n} nói về đấu thầu.".encode() for n in range(4)]
    parsed = await asyncio.gather(*(parse_in_process(c, f"{n}.txt", LIMITS) for n, c in enumerate(contents)))
    assert [p.blocks[0].text for p in parsed] == [c.decode() for c in contents]


async def test_takes_no_longer_than_allowed() -> None:
    started = time.monotonic()
    with pytest.raises(UnreadableFile) as caught:
        await parse_in_process(slow_file(), "slow.xlsx", ParsingLimits(timeout_seconds=0.3))
    assert caught.value.reason == "timeout" and "slow.xlsx" in caught.value.message
    assert time.monotonic() - started < 5
    assert not _parsers()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux only")
async def test_takes_no_more_memory_than_allowed() -> None:
    cell = "<c t='inlineStr'><is><t>" + "x" * 200 + "</t></is></c>"
    rows = f"<row>{cell * 40}</row>" * 25_000
    sheet = f'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{rows}</sheetData></worksheet>'
    content = with_part(xlsx(Sheet("s", [["x"]])), "xl/worksheets/sheet1.xml", sheet.encode())
    limits = ParsingLimits(max_memory_bytes=250_000_000, max_text_characters=10**9)
    with pytest.raises(UnreadableFile) as caught:
        await parse_in_process(content, "wide.xlsx", limits)
    assert caught.value.reason in ("too-complex", "too-large", "archive-bomb")


async def test_two_cells_at_the_far_corners_of_a_sheet_harm_nobody() -> None:
    cells = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    sheet = f'<worksheet xmlns="{space}"><sheetData>{cells}</sheetData></worksheet>'
    content = with_part(xlsx(Sheet("s", [["x"]])), "xl/worksheets/sheet1.xml", sheet.encode())
    with pytest.raises(UnreadableFile) as caught:
        await parse_in_process(content, "corners.xlsx", LIMITS)
    assert caught.value.reason in ("too-complex", "too-large")


async def test_a_crash_of_the_parser_is_a_refusal() -> None:
    task = asyncio.create_task(parse_in_process(slow_file(), "crash.xlsx", LIMITS))
    (await _started()).send_signal(signal.SIGSEGV)
    with pytest.raises(UnreadableFile) as caught:
        await task
    assert caught.value.reason == "damaged" and "crash.xlsx" in caught.value.message


def test_a_process_that_has_died_before_its_task_is_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    start = asyncio.create_subprocess_exec

    async def died(*arguments: Any, **given: Any) -> asyncio.subprocess.Process:
        process = await start(*arguments, **given)
        process.kill()
        await process.wait()
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", died)
    as_the_server_runs = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    with as_the_server_runs as runner, pytest.raises(UnreadableFile) as caught:
        runner.run(parse_in_process(b"# Gate", "gate.md", LIMITS))
    assert caught.value.reason == "too-complex"  # as one that the kernel kills


async def test_cancelling_kills_the_process() -> None:
    task = asyncio.create_task(parse_in_process(slow_file(), "slow.xlsx", LIMITS))
    process = await _started()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not process.is_running()


async def _started() -> psutil.Process:
    """The parsing process, once it is there."""
    async with asyncio.timeout(10):
        while not (found := _parsers()):
            await asyncio.sleep(0.01)
    return found[0]


def _parsers() -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children():
        try:
            if "engine.documents.parsing.child" in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
        except psutil.NoSuchProcess:
            pass
    return found


async def test_the_process_knows_no_secret_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    task = asyncio.create_task(parse_in_process(slow_file(), "slow.xlsx", LIMITS))
    environment = (await _started()).environ()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "OPENAI_API_KEY" not in environment


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the system does not tell a process's peak memory")
def test_a_pdf_of_500_pages_stays_within_its_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.pdf"
    path.write_bytes(pdf([pdf_page(*[f"{VIETNAMESE} Trang {n}."] * 12) for n in range(500)]))
    small = tmp_path / "small.txt"
    small.write_text(VIETNAMESE)
    assert _peak_memory(path) - _peak_memory(small) < 100_000_000


# A process's peak counts what its parent held when it was started: a small parent is needed.
_MEASURE = """
import os, subprocess, sys
command = [sys.executable, "-m", "engine.documents.parsing.child"]
process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(status, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


def _peak_memory(path: Path) -> int:
    """Bytes that the parsing process held at most."""
    task = json.dumps(
        {"path": str(path), "folder": str(path.parent), "file_name": path.name, "limits": asdict(LIMITS)}
    )
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE], input=task, cwd=ROOT, capture_output=True, text=True, check=True
    )
    status, peak = map(int, done.stdout.split())
    assert status == 0
    return peak


def test_the_wire_keeps_everything_and_refuses_nonsense() -> None:
    parsed = parse(docx(("Heading 1", "Đ"), [["a", "b"], ["c", "d"]]), "a.docx")
    assert unpack(pack(parsed), "a.docx") == parsed
    for nonsense in (b"", b"[]", b"{}", b"\xff", b'{"blocks": [[1]]}'):
        with pytest.raises(ValueError):
            unpack(nonsense, "a.docx")
