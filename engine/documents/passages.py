"""Splits a parsed document into passages that follow its structure.

A passage stays within one section where sections are long enough, carries the headings it
stands under, and ends at the end of a paragraph, a table row or at least a sentence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.documents.model import Block, ParsedDocument, PassageDraft
from engine.documents.preface import HEADING_SEPARATOR
from engine.text.sentences import split_sentences

TARGET = 1_000  # characters of a passage; within the 512 tokens that embedders read
MAXIMUM = 1_600
SMALL = 80  # characters, heading included, below which sections share a passage
_OPENING = 200  # characters before the first heading that share its passage
_MAX_CONTEXT = 600  # characters of a table's header that are repeated
_MAX_HEADING = 160  # characters of a heading in the path; the whole is in the text


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a block that is never cut. glue: what stands between it and the piece before."""

    text: str
    glue: str
    page: int | None
    header: str = ""
    is_heading: bool = False


@dataclass(slots=True)
class _Section:
    """Pieces under the same headings; path: those headings, outermost first, its own included."""

    path: tuple[str, ...]
    pieces: list[_Piece]

    @property
    def length(self) -> int:
        return sum(len(piece.glue) + len(piece.text) for piece in self.pieces)

    @property
    def has_body(self) -> bool:
        return any(not piece.is_heading for piece in self.pieces)


def split_passages(
    parsed: ParsedDocument, *, target: int = TARGET, maximum: int = MAXIMUM, small: int = SMALL
) -> list[PassageDraft]:
    """The passages of a document, in order; the same document always gives the same ones.

    Each has about `target` characters and at most `maximum`; what fits into one is one. They
    tile the document: its text is theirs joined with a newline, and every block's text is in
    it, once. A heading stands at the start of the text it heads, never at a passage's end,
    and in `heading` of every passage below it. A passage that begins inside a table has the
    table's header row as `context`.
    """
    passages: list[PassageDraft] = []
    start = 0
    for section in _merge_small(_sections(parsed.blocks, maximum), small):
        for pieces in _pack(section.pieces, target, maximum):
            text = _join(pieces)
            passages.append(
                PassageDraft(
                    position=len(passages),
                    text=text,
                    heading=HEADING_SEPARATOR.join(section.path),
                    start=start,
                    end=start + len(text),
                    context=_context(pieces),
                    page=pieces[0].page,
                    last_page=pieces[-1].page,
                )
            )
            start += len(text) + 1
    return passages


def _sections(blocks: Sequence[Block], maximum: int) -> Iterator[_Section]:
    """Runs of blocks under one heading; headings without text go to the section that follows."""
    open_headings: list[tuple[int, str]] = []
    section = _Section((), [])
    for block in blocks:
        if block.kind == "heading":
            if section.has_body:
                yield section
                section = _Section((), [])
            while open_headings and open_headings[-1][0] >= block.level:
                open_headings.pop()
            open_headings.append((block.level, _shorten(block.text, _MAX_HEADING)))
            section.path = tuple(text for _, text in open_headings)
        section.pieces += _cut(block, maximum)
    if section.pieces:
        yield section


def _merge_small(sections: Iterator[_Section], small: int) -> Iterator[_Section]:
    """Neighbours too small to stand alone become one, under the heading that both share."""
    held: _Section | None = None
    for section in sections:
        if held is not None and (path := _shared_path(held, section, small)) is not None:
            held = _Section(path, [*held.pieces, *section.pieces])
            continue
        if held is not None:
            yield held
        held = section
    if held is not None:
        yield held


def _shared_path(held: _Section, section: _Section, small: int) -> tuple[str, ...] | None:
    """Headings of both sections as one; None if they are better apart."""
    if not held.path:
        return section.path if held.length < _OPENING else None
    if held.length >= small or section.length >= small or len(held.path) != len(section.path):
        return None
    parent = held.path[:-1]
    # Under no heading at all (slides, sheets), a page is a unit.
    same_page = held.pieces[-1].page == section.pieces[0].page
    return (parent or held.path) if parent == section.path[:-1] and (parent or same_page) else None


def _cut(block: Block, maximum: int) -> list[_Piece]:
    """A block's pieces: itself, its sentences if it is long, words if a sentence is.

    A piece leaves a quarter of `maximum` to the headings that may stand before it.
    """
    longest = maximum * 3 // 4
    header = _shorten(block.header, _MAX_CONTEXT)
    heading = block.kind == "heading"
    if len(block.text) <= longest:
        return [_Piece(block.text, "\n", block.page, header, heading)]
    pieces: list[_Piece] = []
    end = 0
    for first, last in split_sentences(block.text):
        for start, stop in _by_words(block.text, first, last, longest):
            glue = block.text[end:start] if pieces else "\n"
            pieces.append(_Piece(block.text[start:stop], glue, block.page, header, heading))
            end = stop
    return pieces


def _by_words(text: str, start: int, end: int, longest: int) -> Iterator[tuple[int, int]]:
    """A sentence in parts of at most `longest` characters, cut at spaces where there are any."""
    while end - start > longest:
        cut = text.rfind(" ", start + longest // 2, start + longest)
        if cut < 0:
            yield start, start + longest
            start += longest
        else:
            yield start, cut
            start = cut + 1
    yield start, end


def _shorten(text: str, longest: int) -> str:
    """`text`, or its beginning up to a word's end."""
    return text if len(text) <= longest else f"{text[:longest].rsplit(' ', 1)[0]} …"


def _pack(pieces: list[_Piece], target: int, maximum: int) -> Iterator[list[_Piece]]:
    """A section's pieces in as few passages of about `target` as it needs, of like size."""
    left = sum(len(p.glue) + len(p.text) for p in pieces)
    goal = _goal(left, target, maximum)
    current: list[_Piece] = []
    length = 0
    has_body = False
    for piece in pieces:
        added = len(piece.glue) + len(piece.text)
        # Stop where the goal is nearest: before this piece, or after it.
        enough = has_body and goal - length < length + added - goal
        too_long = length + added > maximum and (has_body or length > maximum // 2)
        if current and (enough or too_long):
            yield current
            left -= length
            goal = _goal(left, target, maximum)
            current, length, has_body = [], 0, False
        current.append(piece)
        length += added
        has_body = has_body or not piece.is_heading
    if current:
        yield current


def _goal(length: int, target: int, maximum: int) -> float:
    """Characters of the next passage when `length` are left."""
    return length if length <= maximum else length / max(2, round(length / target))


def _join(pieces: Sequence[_Piece]) -> str:
    return pieces[0].text + "".join(piece.glue + piece.text for piece in pieces[1:])


def _context(pieces: Sequence[_Piece]) -> str:
    """Header of the table that a passage begins in, unless its text holds it."""
    first = next((piece for piece in pieces if piece.header), None)
    if first is None or any(piece.text == first.header for piece in pieces):
        return ""
    return first.header
