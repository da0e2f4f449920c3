"""Files into text. One module for each format, imported only when a file needs it.

To add a format: a module with `parse(source: Source) -> ParsedDocument`, and a line in PARSERS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import cast

from engine.documents.model import Block, ParsedDocument
from engine.documents.parsing.checks import check_content, check_name
from engine.documents.parsing.legal import apply_legal_structure
from engine.documents.parsing.limits import ParsingLimits
from engine.documents.parsing.source import Source
from engine.errors import UnreadableFile

__all__ = ["PARSERS", "ParsingLimits", "check_name", "format_of", "parse"]

_SIMPLIFY = "Save it anew from the program that made it, or as PDF."

Parser = Callable[[Source], ParsedDocument]

PARSERS: dict[str, str] = {
    "pdf": "pdf",
    "docx": "word",
    "doc": "old_word",
    "xlsx": "sheets",
    "xls": "sheets",
    "ods": "sheets",
    "pptx": "slides",
    "html": "web",
    "htm": "web",
    "md": "markdown",
    "csv": "delimited",
    "tsv": "delimited",
    "txt": "plain",
}
"""Extension of a file name → module in this package that reads it."""


def format_of(file_name: str) -> str:
    """The extension of a file that can be read, lower case without the dot.

    Raises UnreadableFile ``unsupported``, which lists what can be read.
    """
    extension = Path(file_name).suffix.lower().removeprefix(".")
    if extension not in PARSERS:
        said = (
            f"files of type .{extension} cannot be read"
            if extension
            else "it has no ending that tells its type"
        )
        raise UnreadableFile(
            file_name, "unsupported", f"{said}.", hint=f"These can: {', '.join(sorted(PARSERS))}."
        )
    return extension


def parse(content: Path | bytes, file_name: str, limits: ParsingLimits | None = None) -> ParsedDocument:
    """Read one file, here and now; `sandbox.parse_in_process` guards against hostile ones.

    Raises UnreadableFile and nothing else (MemoryError apart); anything unforeseen is ``damaged``.
    """
    file_name = check_name(file_name)
    source = Source(file_name, content, limits or ParsingLimits())
    extension = format_of(file_name)
    try:
        check_content(source)
        read = cast(Parser, import_module(f"{__name__}.{PARSERS[extension]}").parse)
        parsed = read(source)
    except (UnreadableFile, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, RecursionError) or "Excessive depth" in str(error):  # libxml2's words
            raise source.refuse("too-complex", "it is nested too deeply.", _SIMPLIFY) from error
        raise source.refuse(
            "damaged",
            f"it cannot be read as .{extension}; it is damaged, or made in an unusual way.",
            "Open it in the program that made it and save it again.",
        ) from error
    blocks = _compact_levels(apply_legal_structure(parsed.blocks))
    if not blocks:
        raise source.refuse("empty", "it holds no text.")
    return replace(parsed, blocks=tuple(blocks))


def _compact_levels(blocks: list[Block]) -> list[Block]:
    """Heading levels without gaps, so that the highest in use is 1."""
    ranks = {level: rank for rank, level in enumerate(sorted({b.level for b in blocks if b.level}), 1)}
    return [replace(block, level=ranks[block.level]) if block.level else block for block in blocks]
