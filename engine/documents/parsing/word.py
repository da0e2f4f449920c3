"""Word documents (.docx), read from their XML so that nothing in them is lost.

Headings by style, outline level or, in files without any, by short bold lines; numbers that
Word computes; tables, nested tables and text boxes; footnotes after the paragraph they belong to.
Deleted text of tracked changes, hidden text, field codes and generated tables of contents are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from docx import Document
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import parse_xml
from docx.oxml.ns import qn

from engine.documents.model import ParsedDocument
from engine.documents.parsing.blocks import BlockBuilder
from engine.documents.parsing.legal import LETTERHEAD, is_legal
from engine.documents.parsing.numbering import BULLET, Numbering
from engine.documents.parsing.source import Source
from engine.documents.parsing.styles import Styles

_ALTERNATIVE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_MATH_TEXT = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_TEXT, _BREAKS = qn("w:t"), frozenset({qn("w:tab"), qn("w:br"), qn("w:cr"), qn("w:ptab")})
_SKIPPED = frozenset({qn("w:del"), qn("w:moveFrom"), qn("w:pPr"), qn("w:rPr"), f"{_ALTERNATIVE}Fallback"})
_TRANSPARENT = frozenset(
    {qn("w:sdt"), qn("w:sdtContent"), qn("w:ins"), qn("w:moveTo"), qn("w:customXml"), qn("w:smartTag"),
     f"{_ALTERNATIVE}AlternateContent", f"{_ALTERNATIVE}Choice"}
)  # fmt: skip
_SENTENCE_END = re.compile(r"[.;:,!?…]$")
_MAX_BOLD_HEADING = 120  # characters
_CLAUSE_LEVEL = 8  # below the articles of a legal text
_MAX_LABEL = 160  # characters of a clause's name
_CLAUSE_LENGTH = 300  # characters of a clause, on average
_FEW_HEADINGS = 2  # styled headings up to which short bold lines count as well


def parse(source: Source) -> ParsedDocument:
    with source.open() as file:
        document = Document(file)
    reader = _Reader(source, document)
    reader.read(document.element.body)
    reader.promote_bold_lines()
    properties = document.core_properties
    return reader.builder.document(
        title=properties.title or "",
        properties=[
            ("author", properties.author),
            ("subject", properties.subject),
            ("keywords", properties.keywords),
            ("created", _date(properties, "created")),
            ("modified", _date(properties, "modified")),
        ],
    )


def _date(properties: Any, name: str) -> str:
    try:
        when = getattr(properties, name)
    except ValueError:  # some programs write dates that are none
        return ""
    return when.date().isoformat() if when else ""


class _Reader:
    def __init__(self, source: Source, document: Any) -> None:
        self.builder = BlockBuilder(source)
        self._styles = Styles(document.styles.element)
        self._numbering = Numbering(_part_root(document, RELATIONSHIP_TYPE.NUMBERING))
        self._notes = {
            kind: _notes(_part_root(document, relationship))
            for kind, relationship in (
                ("footnoteReference", RELATIONSHIP_TYPE.FOOTNOTES),
                ("endnoteReference", RELATIONSHIP_TYPE.ENDNOTES),
            )
        }
        self._bold_lines: list[int] = []
        self._styled_headings = 0

    def read(self, parent: Any) -> None:
        """The blocks of a body, a text box or a cell that is laid out as text."""
        for child in parent.iterchildren():
            if child.tag == qn("w:p"):
                self._paragraph(child)
            elif child.tag == qn("w:tbl"):
                self._table(child)
            elif child.tag in _TRANSPARENT:
                self.read(child)

    def promote_bold_lines(self) -> None:
        """Short bold lines become headings where the file has no styled ones."""
        blocks = self.builder.blocks
        if self._styled_headings > _FEW_HEADINGS or is_legal(blocks):
            return
        for index in self._bold_lines:
            blocks[index] = replace(
                blocks[index], kind="heading", level=2 if blocks[index].text.isupper() else 3
            )

    def _paragraph(self, element: Any) -> None:
        inline = _Inline(element)
        style = self._styles.of(element)
        text = inline.text.strip()
        if text and not style.is_contents:
            if label := self._label(element, style.numbering):
                text = f"{label} {text}"
            before = len(self.builder.blocks)
            if style.level and not _is_sentence(text) and not text.startswith(("-", BULLET)):
                self._styled_headings += 1
                self.builder.heading(text, style.level)
            elif label and label[0] == BULLET:
                self.builder.list_item(text)
            else:
                self.builder.paragraph(text)
                if len(self.builder.blocks) > before and _is_bold_line(element, text, style.bold):
                    self._bold_lines.append(before)
        for box in inline.boxes:
            self.read(box)
        for kind, note_id in inline.notes:
            if note := self._notes[kind].get(note_id):
                self.builder.paragraph(f"[{note_id}] {note}")

    def _label(self, element: Any, from_style: tuple[str, int] | None) -> str:
        numbering = _numbering_of(element) or from_style
        return self._numbering.label(*numbering) if numbering else ""

    def _table(self, element: Any) -> None:
        rows = [row for row in _rows(element) if any(_says(cell) for cell in row.cells)]
        if not rows:
            return
        if _is_layout(rows):
            for row in rows:
                for cell in row.cells:
                    if cell is not None:
                        self.read(cell)
            return
        if _is_clauses(rows):
            for row in rows:
                self._clause(*row.cells)
            return
        texts = [["" if cell is None else self._cell(cell) for cell in row.cells] for row in rows]
        header = sum(1 for _ in _leading_headers(rows)) or int(_first_row_names(rows, texts))
        self.builder.table(texts, header if header < len(rows) else 0)
        for row in rows:
            for cell in row.cells:
                for nested in () if cell is None else cell.iterchildren(qn("w:tbl")):
                    self._table(nested)

    def _clause(self, label: Any | None, text: Any | None) -> None:
        """A row of a contract set as a table: the clause's name beside its text."""
        if label is not None and (name := self._cell(label)):
            self.builder.heading(name, _CLAUSE_LEVEL)
        if text is not None:
            self.read(text)

    def _cell(self, cell: Any) -> str:
        """Text of a cell's paragraphs; its own tables follow the table as tables."""
        lines: list[str] = []
        for paragraph in _paragraphs(cell):
            inline = _Inline(paragraph)
            if text := inline.text.strip():
                label = self._label(paragraph, self._styles.of(paragraph).numbering)
                lines.append(f"{label} {text}" if label else text)
            lines += [" ".join(_plain_text(p) for p in box.iter(qn("w:p"))) for box in inline.boxes]
        return " ".join(line for line in lines if any(map(str.isalnum, line)))


class _Inline:
    """What one paragraph holds: its text, text boxes anchored in it, notes it refers to."""

    def __init__(self, paragraph: Any) -> None:
        self.boxes: list[Any] = []
        self.notes: list[tuple[str, str]] = []
        self.text = "".join(self._pieces(paragraph))

    def _pieces(self, element: Any) -> Iterator[str]:
        for child in element.iterchildren():
            tag = child.tag
            if tag in (_TEXT, _MATH_TEXT):
                yield child.text or ""
            elif tag in _BREAKS:
                yield " "
            elif tag == qn("w:noBreakHyphen"):
                yield "-"
            elif tag == qn("w:txbxContent"):
                self.boxes.append(child)
            elif tag in (qn("w:footnoteReference"), qn("w:endnoteReference")):
                note_id = child.get(qn("w:id"))
                self.notes.append((tag.split("}")[1], note_id))
                yield f"[{note_id}]"
            elif tag not in _SKIPPED and isinstance(tag, str) and not _is_hidden(child):
                yield from self._pieces(child)


def _is_hidden(run: Any) -> bool:
    """Whether Word neither shows nor prints it; what readers cannot see must not answer them."""
    hidden = run.find(f"{qn('w:rPr')}/{qn('w:vanish')}")
    return hidden is not None and hidden.get(qn("w:val"), "true") not in ("0", "false", "off")


class _Row:
    def __init__(self, element: Any) -> None:
        self.is_header = element.find(f"{qn('w:trPr')}/{qn('w:tblHeader')}") is not None
        self.cells: list[Any | None] = []  # None where a merged cell goes on
        for cell in _children(element, qn("w:tc")):
            properties = cell.find(qn("w:tcPr"))
            merge = None if properties is None else properties.find(qn("w:vMerge"))
            span = None if properties is None else properties.find(qn("w:gridSpan"))
            goes_on = merge is not None and merge.get(qn("w:val"), "continue") == "continue"
            self.cells.append(None if goes_on else cell)
            width = 1 if span is None else min(int(span.get(qn("w:val"), "1")), 1000)
            self.cells += [None] * (width - 1)


def _rows(table: Any) -> Iterator[_Row]:
    for row in _children(table, qn("w:tr")):
        yield _Row(row)


def _children(element: Any, tag: str) -> Iterator[Any]:
    """Children of a kind, also within content controls and tracked insertions."""
    for child in element.iterchildren():
        if child.tag == tag:
            yield child
        elif child.tag in _TRANSPARENT:
            yield from _children(child, tag)


def _paragraphs(cell: Any) -> Iterator[Any]:
    return _children(cell, qn("w:p"))


def _says(cell: Any | None) -> bool:
    return cell is not None and any(text.text and text.text.strip() for text in cell.iter(_TEXT))


def _is_layout(rows: list[_Row]) -> bool:
    """A table that only places text: one column, or the letterhead of an official text."""
    if all(sum(cell is not None for cell in row.cells) <= 1 for row in rows):
        return True
    if len(rows) > 4 or max(len(row.cells) for row in rows) > 3:
        return False
    return any(
        LETTERHEAD.search(_plain_text(paragraph).strip())
        for row in rows
        for cell in row.cells
        if cell is not None
        for paragraph in _paragraphs(cell)
    )


def _is_clauses(rows: list[_Row]) -> bool:
    """Two columns, a short name beside text of a length that no table cell has."""
    if len(rows) < 2 or any(len(row.cells) != 2 for row in rows):
        return False
    labels, texts = ([_length(row.cells[column]) for row in rows] for column in (0, 1))
    return max(labels) <= _MAX_LABEL and sum(texts) >= _CLAUSE_LENGTH * len(rows)


def _length(cell: Any | None) -> int:
    return 0 if cell is None else sum(len(text.text or "") for text in cell.iter(_TEXT))


def _leading_headers(rows: list[_Row]) -> Iterator[_Row]:
    for row in rows:
        if not row.is_header:
            return
        yield row


def _first_row_names(rows: list[_Row], texts: list[list[str]]) -> bool:
    """Whether the first row names columns: several filled cells, short, no figures, unlike a form."""
    filled = [text for text in texts[0] if text]
    if len(rows) < 2 or len(filled) < 2 or len(filled) < sum(cell is not None for cell in rows[0].cells):
        return False
    if any(len(text) > 150 or text.strip("()%.,0123456789 ") == "" for text in filled):
        return False
    bold = all(
        _is_bold(p, False)
        for cell in rows[0].cells
        if _says(cell)
        for p in _paragraphs(cell)
        if _plain_text(p).strip()
    )
    return bold or (len(filled) > 2 and not any("…" in text or "__" in text for text in filled))


def _plain_text(paragraph: Any) -> str:
    return _Inline(paragraph).text


def _is_bold_line(paragraph: Any, text: str, style_bold: bool) -> bool:
    return len(text) <= _MAX_BOLD_HEADING and not _is_sentence(text) and _is_bold(paragraph, style_bold)


def _is_bold(paragraph: Any, style_bold: bool) -> bool:
    runs = [run for run in paragraph.iter(qn("w:r")) if any((t.text or "").strip() for t in run.iter(_TEXT))]
    return bool(runs) and all(_run_is_bold(run, style_bold) for run in runs)


def _run_is_bold(run: Any, style_bold: bool) -> bool:
    bold = run.find(f"{qn('w:rPr')}/{qn('w:b')}")
    return style_bold if bold is None else bold.get(qn("w:val"), "true") not in ("0", "false", "off")


def _is_sentence(text: str) -> bool:
    return len(text) > 60 and bool(_SENTENCE_END.search(text))


def _numbering_of(paragraph: Any) -> tuple[str, int] | None:
    numbering = paragraph.find(f"{qn('w:pPr')}/{qn('w:numPr')}")
    if numbering is None:
        return None
    num_id, level = numbering.find(qn("w:numId")), numbering.find(qn("w:ilvl"))
    if num_id is None:
        return None
    return num_id.get(qn("w:val"), ""), int(level.get(qn("w:val"), "0")) if level is not None else 0


def _part_root(document: Any, relationship: str) -> Any | None:
    for related in document.part.rels.values():
        if related.reltype == relationship and not related.is_external:
            return parse_xml(related.target_part.blob)
    return None


def _notes(root: Any | None) -> dict[str, str]:
    """Text of each footnote or endnote by its id; separators have a type and no text."""
    if root is None:
        return {}
    return {
        note.get(qn("w:id")): " ".join(_plain_text(p).strip() for p in note.iter(qn("w:p"))).strip()
        for note in root.iterchildren()
        if note.get(qn("w:type")) in (None, "normal")
    }
