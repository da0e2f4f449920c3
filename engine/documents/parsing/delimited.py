"""Delimited tables (.csv, .tsv): a row is a row, the first one names the columns if it is words."""

from __future__ import annotations

import csv
import io

from engine.documents.model import ParsedDocument
from engine.documents.parsing.blocks import BlockBuilder
from engine.documents.parsing.encoding import decode
from engine.documents.parsing.sheets import add_line, find_header
from engine.documents.parsing.source import Source

_SAMPLE = 20_000  # characters that tell the delimiter
_DELIMITERS = ",;\t|"
_LONGEST_CELL = 1_000_000  # characters


def parse(source: Source) -> ParsedDocument:
    builder = BlockBuilder(source)
    text = decode(source)
    builder.check_characters(len(text))
    csv.field_size_limit(_LONGEST_CELL)
    delimiter = "\t" if source.extension == "tsv" else _delimiter(text[:_SAMPLE])
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if any(cell.strip() for cell in row):
                builder.check_columns(len(row))
                rows.append(row)
                builder.check_rows(len(rows))
    except csv.Error as error:
        raise source.refuse(
            "damaged",
            "its rows cannot be told apart; perhaps a quotation mark is missing.",
            "Save it again as CSV from the program that made it.",
        ) from error
    first, depth = find_header(rows)
    for row in rows[:first]:
        add_line(builder, row, None)
    if first < len(rows):
        builder.table(rows[first:], depth)
    return builder.document()


def _delimiter(sample: str) -> str:
    """The character that cuts most lines into the same number of cells."""
    lines = [line for line in sample.splitlines() if line.strip()][:50]

    def agreement(delimiter: str) -> tuple[int, int]:
        counts = [len(row) for row in csv.reader(lines, delimiter=delimiter)]
        usual = max(set(counts), key=counts.count) if counts else 1
        return (counts.count(usual) if usual > 1 else 0, usual)

    return max(_DELIMITERS, key=agreement)
