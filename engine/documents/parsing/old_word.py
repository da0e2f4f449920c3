"""Legacy Word documents (.doc), through whichever converter the machine has.

LibreOffice keeps headings and tables (the file becomes a .docx); antiword keeps tables, catdoc
text only. None of them is needed for any other format.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from engine.documents.model import ParsedDocument
from engine.documents.parsing import word
from engine.documents.parsing.blocks import BlockBuilder
from engine.documents.parsing.legal import LETTERHEAD
from engine.documents.parsing.plain import add_paragraph
from engine.documents.parsing.source import Source

_OFFICES = ("soffice", "libreoffice")
_TABLE_ROW = re.compile(r"\|.*\|\s*$")
_MARGIN = re.compile(r"[ \t]{2,}")


def find_converters() -> list[str]:
    """The programs that can read a .doc file here, the best first."""
    return [name for name in (*_OFFICES, "antiword", "catdoc") if shutil.which(name)]


def parse(source: Source) -> ParsedDocument:
    converters = find_converters()
    if not converters:
        raise source.refuse(
            "needs-converter",
            "old Word files (.doc) are read through a converter, and none is installed here.",
            "Install antiword or LibreOffice, or save the file as .docx.",
        )
    with tempfile.TemporaryDirectory(prefix="dossier-") as folder:
        path = Path(folder) / "document.doc"
        path.write_bytes(source.read())
        for converter in converters[:-1]:
            with contextlib.suppress(_ConverterFailed):
                return _convert(source, converter, path)
        try:
            return _convert(source, converters[-1], path)
        except _ConverterFailed as error:
            raise source.refuse(
                "damaged", f"{converters[-1]} cannot read it.", "Open it in Word and save it as .docx."
            ) from error


class _ConverterFailed(Exception):
    """One program could not read the file; another may."""


def _convert(source: Source, converter: str, path: Path) -> ParsedDocument:
    if converter in _OFFICES:
        return word.parse(source.at(_to_docx(source, converter, path)))
    options = ["-m", "UTF-8.txt", "-w", "0"] if converter == "antiword" else ["-d", "utf-8", "-w"]
    return _from_text(source, _run(source, [converter, *options, str(path)]))


def _to_docx(source: Source, converter: str, path: Path) -> Path:
    # A profile of its own: LibreOffice refuses to start twice on one.
    profile = f"-env:UserInstallation={(path.parent / 'profile').as_uri()}"
    folder = str(path.parent)
    _run(source, [converter, profile, "--headless", "--convert-to", "docx", "--outdir", folder, str(path)])
    converted = path.with_suffix(".docx")
    if not converted.exists():
        raise _ConverterFailed(converter)
    return converted


def _run(source: Source, command: list[str]) -> str:
    folder = str(Path(command[-1]).parent)
    environment = {"HOME": folder, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PATH": os.defpath}
    program = shutil.which(command[0]) or command[0]
    try:
        done = subprocess.run(
            [program, *command[1:]],
            capture_output=True,
            timeout=source.limits.timeout_seconds,
            env=environment,
            preexec_fn=_lift_memory_limit if command[0] in _OFFICES and os.name == "posix" else None,
        )
    except subprocess.TimeoutExpired as error:
        raise source.refuse("timeout", "converting it takes too long.", "Save it as .docx.") from error
    said = done.stderr.decode("utf-8", "replace").lower()
    if "encrypt" in said or "password" in said:
        raise source.refuse(
            "encrypted", "it is protected with a password.", "Save a copy without the password."
        )
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode != 0 and not text.strip():
        raise _ConverterFailed(command[0])
    return text


def _lift_memory_limit() -> None:
    """LibreOffice reserves more address space than a parser may, and uses little of it."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _from_text(source: Source, text: str) -> ParsedDocument:
    builder = BlockBuilder(source)
    builder.check_characters(len(text))
    table: list[str] = []
    for line in [*text.splitlines(), ""]:
        if _TABLE_ROW.match(line):
            table.append(line)
            continue
        if table:
            _add_table(builder, table)
            table = []
        add_paragraph(builder, _MARGIN.sub(" ", line))
    return builder.document()


def _add_table(builder: BlockBuilder, lines: list[str]) -> None:
    """antiword draws a row over several lines; only the first has text in its first cells."""
    rows: list[list[str]] = []
    for line in lines:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        continues = rows and len(cells) == len(rows[-1]) and not cells[0]
        if continues:
            rows[-1] = [f"{above} {cell}".strip() for above, cell in zip(rows[-1], cells, strict=True)]
        elif any(cells):
            rows.append(cells)
    if any(LETTERHEAD.search(cell) for row in rows for cell in row):
        for cell in (cell for row in rows for cell in row):
            builder.paragraph(cell)
        return
    named = len(rows) > 1 and len(rows[0]) > 2 and all(rows[0])
    builder.table(rows, 1 if named else 0)
