"""Plain text: paragraphs by blank lines, or by line where there are none."""

from __future__ import annotations

import re

from engine.documents.model import ParsedDocument
from engine.documents.parsing.blocks import BlockBuilder
from engine.documents.parsing.encoding import decode
from engine.documents.parsing.source import Source

_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_LINE_END = re.compile(r"\r\n?|[\v\x85\u2028\u2029]")
_ITEM = re.compile(r"\s*(?:[-–*•+]\s+|\(?\d{1,3}[.)]\s+|\(?[a-zđ][.)]\s+)\S")
# Lines that stand for themselves even without a blank line before them.
_DIVISION = re.compile(
    r"\s*[\"“]?(?:(?:Phần|PHẦN|Chương|CHƯƠNG|Mục|MỤC|Tiểu mục|Điều|ĐIỀU|Phụ lục|PHỤ LỤC)\s+[\dIVXLC]+"
    r"|(?:Chapter|CHAPTER|Article|ARTICLE|Part|PART|Section|SECTION)\s+[\dIVXLC]+[.:]?)"
)
_ENGLISH = re.compile(
    r"(?i:chapter|article|part|section|annex|appendix)\s+(?:\d[\d.]*|[IVXLC]+|[A-Z])\b(?:[.:\s].{0,100})?"
)
_ENGLISH_LEVELS = {"part": 1, "annex": 1, "appendix": 1, "chapter": 2, "section": 3, "article": 4}
_SHORT = 40  # characters; a shorter line, with a capital after it, was ended on purpose


def parse(source: Source) -> ParsedDocument:
    builder = BlockBuilder(source)
    text = _LINE_END.sub("\n", decode(source)).replace("\f", "\n\n")
    builder.check_characters(len(text))
    wrapped = _is_wrapped(text)
    for chunk in _BLANK_LINE.split(text):
        add_lines(builder, chunk.split("\n"), wrapped=wrapped)
    return builder.document()


def add_lines(builder: BlockBuilder, lines: list[str], *, wrapped: bool) -> None:
    """The lines of one chunk of text as blocks. wrapped: its lines end at the margin."""
    paragraph: list[str] = []

    def flush() -> None:
        add_paragraph(builder, " ".join(paragraph))
        paragraph.clear()

    for line in lines:
        ended = paragraph and len(paragraph[-1].strip()) < _SHORT and line.strip()[:1].isupper()
        if paragraph and (not wrapped or ended or _ITEM.match(line) or _DIVISION.match(line)):
            flush()
        paragraph.append(line)
    if paragraph:
        flush()


def add_paragraph(builder: BlockBuilder, text: str, page: int | None = None) -> None:
    """One paragraph of unstyled text: a list item or an English heading by its first word."""
    text = text.strip()
    if (match := _ENGLISH.fullmatch(text)) and not text.endswith((".", ";", ",")):
        builder.heading(text, _ENGLISH_LEVELS[match[0].split()[0].lower()], page)
    elif _ITEM.match(text):
        builder.list_item(text, page)
    else:
        builder.paragraph(text, page)


def _is_wrapped(text: str) -> bool:
    """Whether lines were broken at a margin: most long enough, none far beyond it."""
    lines = [len(line) for line in text[:200_000].split("\n") if line.strip()]
    if len(lines) < 3:
        return True
    longest = sorted(lines)[int(0.95 * (len(lines) - 1))]
    return longest <= 120
