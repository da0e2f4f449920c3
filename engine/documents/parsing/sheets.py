"""Spreadsheets (.xlsx, .xls, .ods): a sheet is a page, its name a heading, its rows a table."""

from __future__ import annotations

import datetime
import zipfile
from typing import Any

from python_calamine import CalamineError, PasswordError, SheetTypeEnum, SheetVisibleEnum, load_workbook

from engine.documents.model import ParsedDocument
from engine.documents.parsing.blocks import BlockBuilder, merge_header
from engine.documents.parsing.source import Source
from engine.errors import UnreadableFile

_HEADER_SEARCH = 30  # rows from the top in which the header is looked for
_HEADER_DEPTH = 3  # rows that one header may span
_MAX_LABEL = 80  # characters of a merged label that is repeated for each of its rows
_MANIFEST = "META-INF/manifest.xml"


def parse(source: Source) -> ParsedDocument:
    if source.extension == "ods":
        _refuse_encrypted(source)
    builder = BlockBuilder(source)
    with source.open() as file:
        try:
            workbook = load_workbook(file)
            sheets = [s for s in workbook.sheets_metadata if s.typ == SheetTypeEnum.WorkSheet]
            builder.check_pages(len(sheets), "sheets")
            # What is hidden in the program is not for readers, unless there is nothing else.
            for hidden in (False, True):
                for page, sheet in enumerate(sheets, 1):
                    if (sheet.visible != SheetVisibleEnum.Visible) == hidden:
                        _read_sheet(source, builder, workbook, sheet.name, page)
                if builder.blocks:
                    break
        except PasswordError as error:
            raise _encrypted(source) from error
        except CalamineError as error:
            if "password" in str(error).lower() or "encrypted" in str(error).lower():
                raise _encrypted(source) from error
            raise
    return builder.document(page_count=len(sheets))


def _encrypted(source: Source) -> UnreadableFile:
    return source.refuse("encrypted", "it is protected with a password.", "Save a copy without the password.")


def _refuse_encrypted(source: Source) -> None:
    with source.open() as file, zipfile.ZipFile(file) as archive:
        if _MANIFEST in archive.namelist() and b"encryption-data" in archive.read(_MANIFEST):
            raise _encrypted(source)


def _read_sheet(source: Source, builder: BlockBuilder, workbook: Any, name: str, page: int) -> None:
    sheet = workbook.get_sheet_by_name(name)
    if sheet.height == 0 or sheet.width == 0:
        return
    if sheet.width > source.limits.max_columns:
        # Stray formats far to the right count as columns; only real cells may be refused.
        widest = max((_width(row) for row in sheet.iter_rows()), default=0)
        builder.check_columns(widest)
    rows: list[list[str]] = []
    numbers: list[int] = []  # row number in the sheet of each kept row
    for number, row in enumerate(sheet.iter_rows()):
        texts = [cell_text(cell) for cell in row[: source.limits.max_columns]]
        if any(texts):
            rows.append(texts)
            numbers.append(number)
            builder.check_rows(len(rows))
    if not rows:
        return
    builder.heading(name, 1, page)
    spans = _spans(sheet, {number: index for index, number in enumerate(numbers)})
    first, depth = find_header(rows)
    if depth:
        depth = max([1, *(bottom - first + 1 for top, _, bottom, _ in spans if top == first)])
        depth = min(depth, _HEADER_DEPTH, len(rows) - first)
    for row in rows[:first]:
        add_line(builder, row, page)
    names = [list(row) for row in rows[first : first + depth]]
    for top, left, bottom, right in spans:
        if first <= top and bottom < first + depth - 1:  # a group's name goes to each of its columns
            _fill(names[top - first], left, right, names[top - first][left])
        elif top >= first + depth and len(rows[top][left]) <= _MAX_LABEL:
            for row in rows[top + 1 : bottom + 1]:  # a label that rows share goes to each of them
                _fill(row, left - 1, left, rows[top][left])
    builder.table(rows[first:], depth, page, merge_header(names) if depth else None)


def _width(row: list[Any]) -> int:
    return max((column for column, cell in enumerate(row, 1) if cell not in ("", None)), default=0)


def _spans(sheet: Any, index: dict[int, int]) -> list[tuple[int, int, int, int]]:
    """Merged cells as (top, left, bottom, right); rows counted as `index` counts those kept."""
    spans: list[tuple[int, int, int, int]] = []
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or ():
        if top in index and left < sheet.width:
            last = max((index[n] for n in range(top, min(bottom, sheet.height) + 1) if n in index), default=0)
            spans.append((index[top], left, last, right))
    return spans


def _fill(row: list[str], left: int, right: int, text: str) -> None:
    for column in range(left + 1, min(right + 1, len(row))):
        row[column] = row[column] or text


def find_header(rows: list[list[str]]) -> tuple[int, int]:
    """Where the table begins and how many rows (0 or 1) its header has.

    The header is the first row with several cells that are all words, at least half as wide as
    the rows below it.
    """
    for index, row in enumerate(rows[:_HEADER_SEARCH]):
        filled = [cell for cell in row if cell]
        if len(filled) < 2:
            continue
        below = max((sum(map(bool, later)) for later in rows[index + 1 : index + 20]), default=0)
        if any(_is_figure(cell) for cell in filled) or not below:
            return index, 0
        if len(filled) * 4 >= below:
            return index, 1
    return next((i for i, row in enumerate(rows) if sum(map(bool, row)) > 1), len(rows)), 0


def add_line(builder: BlockBuilder, row: list[str], page: int | None) -> None:
    """A row above the table: text that stands alone, such as the table's title."""
    filled = [cell for cell in row if cell]
    builder.paragraph(filled[0] if len(filled) == 1 else builder.join_cells(row), page)


def _is_figure(cell: str) -> bool:
    return cell.strip("()%.,+-–/: 0123456789") == "" and any(map(str.isdigit, cell))


def cell_text(cell: Any) -> str:
    """A cell as a person reads it: whole numbers without decimals, dates in ISO form."""
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else format(cell, ".15g")
    if isinstance(cell, datetime.datetime):
        return cell.date().isoformat() if cell.time() == datetime.time() else cell.isoformat(" ", "minutes")
    return "" if cell is None else str(cell).strip()
