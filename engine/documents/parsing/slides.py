"""Presentations (.pptx): a slide is a page; its title is a heading, then its text, tables and notes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pptx import Presentation
from pptx.enum.shapes import MSO_SHAPE_TYPE, PP_PLACEHOLDER

from engine.documents.model import ParsedDocument
from engine.documents.parsing.blocks import BlockBuilder
from engine.documents.parsing.source import Source

# Slide number, date and footer repeat on every slide and say nothing of it.
_FURNITURE = frozenset({PP_PLACEHOLDER.SLIDE_NUMBER, PP_PLACEHOLDER.DATE, PP_PLACEHOLDER.FOOTER})


def parse(source: Source) -> ParsedDocument:
    with source.open() as file:
        presentation = Presentation(file)
    builder = BlockBuilder(source)
    builder.check_pages(len(presentation.slides), "slides")
    for page, slide in enumerate(presentation.slides, 1):
        _read_slide(builder, slide, page)
    properties = presentation.core_properties
    return builder.document(
        title=properties.title or "",
        page_count=len(presentation.slides),
        properties=[("author", properties.author), ("subject", properties.subject)],
    )


def _read_slide(builder: BlockBuilder, slide: Any, page: int) -> None:
    title = slide.shapes.title
    if title is not None and title.has_text_frame:
        builder.heading(title.text_frame.text, 1, page)
    for shape in _shapes(slide.shapes):
        if title is not None and shape.shape_id == title.shape_id:
            continue
        if getattr(shape, "has_table", False):
            _read_table(builder, shape.table, page)
        elif getattr(shape, "has_chart", False):
            _read_chart(builder, shape.chart, page)
        elif shape.has_text_frame:
            _read_text(builder, shape.text_frame, page)
    if slide.has_notes_slide and (frame := slide.notes_slide.notes_text_frame) is not None:
        _read_text(builder, frame, page)


def _shapes(shapes: Any) -> Iterator[Any]:
    """Shapes in reading order, groups opened: from top to bottom, then from left to right."""
    for shape in sorted(shapes, key=lambda s: ((s.top or 0) // 100_000, s.left or 0)):
        if shape.shape_type == MSO_SHAPE_TYPE.GROUP:
            yield from _shapes(shape.shapes)
        elif not (shape.is_placeholder and shape.placeholder_format.type in _FURNITURE):
            yield shape


def _read_text(builder: BlockBuilder, frame: Any, page: int) -> None:
    paragraphs = [p for p in frame.paragraphs if p.text.strip()]
    for paragraph in paragraphs:
        if len(paragraphs) > 1:
            builder.list_item(f"• {paragraph.text.strip()}", page)
        else:
            builder.paragraph(paragraph.text, page)


def _read_table(builder: BlockBuilder, table: Any, page: int) -> None:
    rows = [["" if cell.is_spanned else cell.text_frame.text for cell in row.cells] for row in table.rows]
    filled = [row for row in rows if any(cell.strip() for cell in row)]
    builder.table(filled, 1 if table.first_row and len(filled) > 1 and filled[0] == rows[0] else 0, page)


def _read_chart(builder: BlockBuilder, chart: Any, page: int) -> None:
    """A chart's own figures, as a table of its categories and series."""
    if chart.has_title and chart.chart_title.has_text_frame:
        builder.paragraph(chart.chart_title.text_frame.text, page)
    for plot in chart.plots:
        series = list(plot.series)
        rows = [["", *(one.name or "" for one in series)]]
        for index, category in enumerate(plot.categories):
            values = (one.values[index] if index < len(one.values) else None for one in series)
            rows.append([str(category), *("" if value is None else format(value, "g") for value in values)])
        builder.table(rows, 1, page)
