"""How large a file, and what it turns into, may be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ParsingLimits:
    """Bounds of one file; past any of them it is refused, never cut short.

    max_uncompressed_bytes: all members of an Office file together, unpacked.
    max_text_characters: of the document's text.
    max_pages: pages, slides or sheets.
    max_columns, max_rows: of one table or sheet.
    timeout_seconds, max_memory_bytes: of the process that parses.
    """

    max_file_bytes: int = 100_000_000
    max_uncompressed_bytes: int = 500_000_000
    max_text_characters: int = 20_000_000
    max_pages: int = 5_000
    max_columns: int = 500
    max_rows: int = 200_000
    timeout_seconds: float = 120.0
    max_memory_bytes: int = 2_000_000_000
