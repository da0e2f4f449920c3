"""Collects a file's blocks in reading order, normalised and within the limits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from engine.documents.model import Block, BlockKind, ParsedDocument
from engine.documents.parsing.source import Source
from engine.text.normalisation import normalise

MAX_HEADING = 300  # characters; what is longer was styled as a heading by mistake
_SAYS_SOMETHING = re.compile(r"[^\W_]")


class BlockBuilder:
    """Every parser's way to build its ParsedDocument.

    Text without a letter or digit (rulers, decorations) is dropped. Raises UnreadableFile
    ``too-large`` once the document's text, or a table, exceeds the limits.
    """

    def __init__(self, source: Source) -> None:
        self.blocks: list[Block] = []
        self._source = source
        self._limits = source.limits
        self._characters = 0

    def heading(self, text: str, level: int, page: int | None = None) -> None:
        """level: 1 is the highest."""
        text = normalise(text)
        if len(text) > MAX_HEADING:
            self._add("paragraph", text, page=page)
        else:
            self._add("heading", text, level=max(1, level), page=page)

    def paragraph(self, text: str, page: int | None = None) -> None:
        self._add("paragraph", normalise(text), page=page)

    def list_item(self, text: str, page: int | None = None) -> None:
        """text: with its number or bullet."""
        self._add("list_item", normalise(text), page=page)

    def code(self, text: str, page: int | None = None) -> None:
        self._add("code", normalise(text, keep_line_breaks=True), page=page)

    def row(self, cells: Sequence[str], header: str = "", page: int | None = None) -> None:
        """header: the table's header row, as `join_cells` gives it."""
        self._add("table_row", self.join_cells(cells), header=header, page=page)

    def table(
        self,
        rows: Sequence[Sequence[str]],
        header_rows: int,
        page: int | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        """A whole table, whose first `header_rows` rows name its columns.

        names: of the columns, where those rows alone do not tell them. The header is there as
        rows of its own, too. A row with one filled cell reads as text.
        """
        self.check_rows(len(rows))
        header = self.join_cells(names or merge_header(rows[:header_rows])) if header_rows else ""
        for index, row in enumerate(rows):
            if index < header_rows:
                self.row(row, page=page)
            elif sum(bool(cell.strip()) for cell in row) == 1:
                self._add("table_row", normalise("".join(row)), header=header, page=page)
            else:
                self.row(row, header=header, page=page)

    def join_cells(self, cells: Sequence[str]) -> str:
        """A row as one line; empty cells at its end are left out."""
        self.check_columns(len(cells))
        texts = [normalise(cell) for cell in cells]
        while texts and not texts[-1]:
            texts.pop()
        return normalise(" | ".join(texts))

    def check_columns(self, count: int) -> None:
        if count > self._limits.max_columns:
            raise self._source.refuse(
                "too-large",
                f"it has a table of {count:,} columns; {self._limits.max_columns:,} are allowed.",
                "Keep the columns that matter, or raise MAX_TABLE_COLUMNS.",
            )

    def check_rows(self, count: int) -> None:
        if count > self._limits.max_rows:
            raise self._source.refuse(
                "too-large",
                f"it has a table of more than {self._limits.max_rows:,} rows.",
                "Split it, or raise MAX_TABLE_ROWS.",
            )

    def check_pages(self, count: int, word: str) -> None:
        """word: what the format calls its pages, in plural."""
        if count > self._limits.max_pages:
            raise self._source.refuse(
                "too-large",
                f"it has {count:,} {word}; at most {self._limits.max_pages:,} are allowed.",
                "Split it, or raise MAX_PAGES.",
            )

    def check_characters(self, count: int) -> None:
        """For parsers that hold text before it becomes blocks."""
        if count > self._limits.max_text_characters:
            raise self._source.refuse(
                "too-large",
                f"its text is longer than {self._limits.max_text_characters:,} characters.",
                "Split it, or raise MAX_TEXT_CHARACTERS.",
            )

    def document(
        self,
        *,
        title: str = "",
        page_count: int | None = None,
        properties: Iterable[tuple[str, object]] = (),
    ) -> ParsedDocument:
        """What was built. properties: pairs of name and value; empty values are left out."""
        told = {name: normalise(str(value)) for name, value in properties if value}
        return ParsedDocument(
            tuple(self.blocks), normalise(title), page_count, {k: v for k, v in told.items() if v}
        )

    def _add(
        self, kind: BlockKind, text: str, *, level: int = 0, page: int | None = None, header: str = ""
    ) -> None:
        if not _SAYS_SOMETHING.search(text):
            return
        self._characters += len(text)
        self.check_characters(self._characters)
        self.blocks.append(Block(kind, text, level, page, "" if header == text else header))


def merge_header(rows: Sequence[Sequence[str]]) -> list[str]:
    """Header rows as one: what stands above a column, outermost first."""
    merged: list[str] = []
    for column in range(max((len(row) for row in rows), default=0)):
        parts = [normalise(row[column]) for row in rows if column < len(row)]
        merged.append(" ".join(dict.fromkeys(part for part in parts if part)))
    return merged
