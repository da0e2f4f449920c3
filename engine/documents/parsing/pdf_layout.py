"""From the lines of a PDF's pages to paragraphs and headings.

A PDF knows where letters stand, not what they mean. Gaps, indents and line lengths tell
paragraphs; size, weight and the outline tell headings; what repeats at the edge of pages is
their header or footer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from engine.documents.parsing.blocks import BlockBuilder
from engine.text.normalisation import normalise

_HYPHEN = "\ufffe"  # where PDFium took out a hyphen and the line break after it
_BROKEN_WORD = re.compile(r"(\w+)(?:[\ufffe\u0002]|-\n)(\w+)")
_WORDS = re.compile(r"\w+(?:-\w+)*")
_ITEM = re.compile(r"(?:[•●○▪■◦‣–*+\uf0b7\uf0a7\uf02d-]\s+|\(?\d{1,3}[.)]\s+|\(?[a-zđ][.)]\s+)\S")
_BULLET = re.compile(r"[•●○▪■◦‣*+\uf0b7\uf0a7\uf02d]\s+")
_DIVISION = re.compile(
    r"[\"“]?(?:Phần|PHẦN|Chương|CHƯƠNG|Mục|MỤC|Tiểu mục|Điều|ĐIỀU|Phụ lục|PHỤ LỤC)\s+[\dIVXLC]+"
)
_LEADERS = re.compile(r"(?:\s?[.·…]){4,}\s*[\divxlcIVXLC.-]*\s*$")
_CONTENTS_LINE = re.compile(r"\s(?:\d+|[ivxlc]+)$|^(?:(?:table of )?contents|mục lục)$", re.IGNORECASE)
_PAGE_NUMBER = re.compile(
    r"[-–—|\s]*(?:(?i:page|trang)\s+)?(?:\d{1,4}|[ivxlc]{1,7})(?:\s*(?:/|of|trên)\s*\d+)?[-–—|\s]*"
)
_EDGE_NUMBER = re.compile(r"^(\d{1,4})\b|\b(\d{1,4})$")
_SENTENCE_END = re.compile(r"[.;:!?…”\")\]]$")
_NOT_A_HEADING = re.compile(r"[.;,]$")

_EDGE = 3  # lines from the top and the bottom of a page that may be its header or footer
_MARGIN = 0.12  # share of the printed height at its top and bottom where those lines are
_REPEATED = 3  # pages on which a line repeats before it counts as one
_LEADING = 1.4  # distance of lines over their size where few lines tell
_FEW_GAPS = 10
_LARGER = 1.12  # size of a heading over the body's
_MAX_HEADING = 200  # characters
_MAX_BOLD_HEADING = 120
_MAX_COVER = 10  # paragraphs on a first page that is a cover
_MAX_KICKER = 15  # characters
_WIDE = 0.8  # of the size, per letter: cells of a row stand apart, letters of a title don't
_CONTENTS_LINES = 5  # lines with leaders that make a table of contents


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a page; lengths in points, measured from the lower left corner.

    end_bottom: lower edge at its last letter, below `bottom` where a hyphen joined two lines.
    bold, mono: from its first letter to its last.
    """

    text: str
    page: int
    left: float
    right: float
    top: float
    bottom: float
    end_bottom: float
    size: float
    bold: bool = False
    mono: bool = False


@dataclass(frozen=True, slots=True)
class OutlineEntry:
    """A bookmark. level from 1; page from 1, or None."""

    title: str
    level: int
    page: int | None


@dataclass(slots=True)
class _Paragraph:
    lines: list[Line] = field(default_factory=list)

    @property
    def first(self) -> Line:
        return self.lines[0]

    @property
    def last(self) -> Line:
        return self.lines[-1]

    @property
    def text(self) -> str:
        return "\n".join(line.text.strip() for line in self.lines)

    @property
    def bold(self) -> bool:
        return all(line.bold for line in self.lines)


def add_paragraphs(
    builder: BlockBuilder, lines: Sequence[Line], outline: Sequence[OutlineEntry], page_count: int
) -> None:
    """The blocks of a PDF, from its lines in reading order."""
    kept = _without_contents(_without_margins(_merge_same_line(lines), page_count))
    if not kept:
        return
    if sum(line.mono for line in kept) > len(kept) / 2:  # a typescript, not code
        kept = [replace(line, mono=False) for line in kept]
    body = _body_size(kept)
    paragraphs = list(_paragraphs(kept))
    whole = (_BROKEN_WORD.sub(" ", paragraph.text) for paragraph in paragraphs)
    words = Counter(word.lower() for text in whole for word in _WORDS.findall(text))
    levels = _heading_levels(paragraphs, body, outline)
    _demote_cover(paragraphs, levels)
    _join_kickers(paragraphs, levels)
    for paragraph, level in zip(paragraphs, levels, strict=True):
        text = _BROKEN_WORD.sub(lambda match: _mend(match, words), paragraph.text)
        page = paragraph.first.page
        if level:
            builder.heading(text.replace(_HYPHEN, "-"), level, page)
        elif paragraph.first.mono and all(line.mono for line in paragraph.lines):
            builder.code(text, page)
        elif _ITEM.match(text):
            builder.list_item(_BULLET.sub("• ", text, count=1), page)
        else:
            builder.paragraph(text.replace(_HYPHEN, "-"), page)


def _merge_same_line(lines: Sequence[Line]) -> list[Line]:
    """Pieces at the same height, such as cells of a table row or raised figures, are one line."""
    merged: list[Line] = []
    for line in lines:
        last = merged[-1] if merged else None
        overlap = min(last.top, line.top) - max(last.end_bottom, line.bottom) if last else 0
        if (
            last is not None
            and last.page == line.page
            and overlap > 0.5 * min(last.top - last.bottom, line.top - line.bottom)
            and line.left >= last.right - 0.3 * line.size
        ):
            merged[-1] = replace(
                last,
                text=f"{last.text.rstrip()} {line.text.lstrip()}",
                right=line.right,
                end_bottom=line.end_bottom,
                size=max(last.size, line.size),
                bold=last.bold and line.bold,
                mono=last.mono and line.mono,
            )
        else:
            merged.append(line)
    return merged


def _without_margins(lines: list[Line], page_count: int) -> list[Line]:
    """Without running headers, footers and page numbers."""
    if not lines:
        return lines
    body = _body_size(lines)
    pages: dict[int, list[int]] = {}
    for index, line in enumerate(lines):
        pages.setdefault(line.page, []).append(index)
    edges: set[int] = set()
    outermost: set[int] = set()
    for found in pages.values():
        edges.update(found[:_EDGE], found[-_EDGE:])
        outermost |= {max(found, key=lambda i: lines[i].top), min(found, key=lambda i: lines[i].bottom)}
    highest, lowest = max(line.top for line in lines), min(line.bottom for line in lines)
    margin = _MARGIN * (highest - lowest)
    # Headings at the top of a page are larger than the text; what runs along its edge is not.
    edges = {
        index
        for index in edges | outermost
        if lines[index].size < 1.05 * body
        and (lines[index].top > highest - margin or lines[index].bottom < lowest + margin)
    }

    repeated = Counter(_margin_key(lines[index]) for index in edges)
    offsets = Counter(place for index in edges & outermost for place in _numbered_places(lines[index]))
    numbered = {place for place, count in offsets.items() if count >= max(_REPEATED, 0.2 * page_count)}

    def is_margin(index: int) -> bool:
        line = lines[index]
        if index not in edges:
            return False
        if repeated[_margin_key(line)] >= _REPEATED:
            return True
        if index not in outermost or page_count == 1:
            return False
        return bool(_PAGE_NUMBER.fullmatch(line.text.strip())) or not numbered.isdisjoint(
            _numbered_places(line)
        )

    return [line for index, line in enumerate(lines) if not is_margin(index)]


def _margin_key(line: Line) -> tuple[str, int]:
    return _EDGE_NUMBER.sub("#", normalise(line.text).lower()), round(line.bottom / 4)


def _numbered_places(line: Line) -> set[tuple[int, int]]:
    """Where on the page, and how far from the page's own number, a line's first or last number is."""
    found = _EDGE_NUMBER.finditer(line.text.strip())
    return {(int(match[1] or match[2]) - line.page, round(line.bottom / 4)) for match in found}


def _without_contents(lines: list[Line]) -> list[Line]:
    """Without a table of contents: it repeats the headings and answers nothing."""
    leaders = Counter(line.page for line in lines if _LEADERS.search(line.text))
    contents = {page for page, count in leaders.items() if count >= _CONTENTS_LINES}
    contents |= {page for page in leaders if page - 1 in contents or page + 1 in contents}

    def is_entry(line: Line) -> bool:
        return line.page in contents and bool(
            _LEADERS.search(line.text) or _CONTENTS_LINE.search(line.text.strip())
        )

    return [line for line in lines if not is_entry(line)] or lines


def _body_size(lines: list[Line]) -> float:
    sizes: Counter[float] = Counter()
    for line in lines:
        sizes[round(line.size * 2) / 2] += len(line.text)
    return sizes.most_common(1)[0][0]


def _paragraphs(lines: list[Line]) -> Iterator[_Paragraph]:
    leadings = sorted(
        (above.end_bottom - line.bottom) / line.size
        for above, line in pairwise(lines)
        if above.page == line.page and 0.5 * line.size < above.end_bottom - line.bottom < 3 * line.size
    )
    leading = leadings[len(leadings) // 3] if leadings else _LEADING
    if len(leadings) < _FEW_GAPS:
        leading = min(leading, _LEADING)
    margins = _right_margins(lines)
    current = _Paragraph()
    for line in lines:
        if current.lines and _breaks(current, line, leading, margins):
            yield current
            current = _Paragraph()
        current.lines.append(line)
    if current.lines:
        yield current


def _right_margins(lines: list[Line]) -> dict[int, float]:
    """Of each page, where its long lines end."""
    ends: dict[int, list[float]] = {}
    for line in lines:
        ends.setdefault(line.page, []).append(line.right)
    return {page: sorted(found)[int(0.9 * (len(found) - 1))] for page, found in ends.items()}


def _breaks(current: _Paragraph, line: Line, leading: float, margins: dict[int, float]) -> bool:
    """Whether a new paragraph begins with `line`."""
    last, text = current.last, line.text.strip()
    if abs(last.size - line.size) > 0.08 * max(last.size, line.size) or last.mono != line.mono:
        return True
    if _DIVISION.match(text) or (_ITEM.match(text) and not line.mono):
        return True
    if current.bold != line.bold and (current.bold or len(current.lines) > 1):
        return True
    gap = last.end_bottom - line.bottom
    if last.page != line.page or gap < 0:  # the next page or column
        return bool(_SENTENCE_END.search(last.text.strip())) or not text[:1].islower()
    if gap > 1.25 * leading * line.size:
        return True
    if line.mono:
        return False
    width = margins[last.page] - current.first.left
    short = last.right < margins[last.page] - max(2 * line.size, 0.12 * width)
    if short and (_SENTENCE_END.search(last.text.strip()) or text[:1].isupper()):
        return True
    indented = line.left > current.first.left + 0.8 * line.size
    return indented and len(current.lines) > 1 and line.left > last.left + 0.8 * line.size


def _heading_levels(paragraphs: list[_Paragraph], body: float, outline: Sequence[OutlineEntry]) -> list[int]:
    """Depth of each paragraph as a heading, 0 for text: by the outline, else by size and weight."""
    known = {(_plain(entry.title), entry.page): entry.level for entry in outline}
    matched = [
        max((known.get((_plain(p.text), page), 0) for page in (p.first.page, None)), default=0)
        for p in paragraphs
    ]
    sizes = sorted({p.first.size for p in paragraphs if _is_larger(p, body)}, reverse=True)
    ranks = _ranks(sizes)
    letters = sum(len(p.text) for p in paragraphs)
    bold_means_heading = sum(len(p.text) for p in paragraphs if p.bold) < 0.25 * letters
    # An outline's levels and the sizes' are put on one scale: the size at which a level is set.
    offset = _offset(paragraphs, matched, ranks)
    levels: list[int] = []
    for paragraph, level in zip(paragraphs, matched, strict=True):
        if level:
            levels.append(level)
        elif _is_larger(paragraph, body):
            levels.append(max(1, ranks[paragraph.first.size] + offset))
        elif bold_means_heading and _is_bold_line(paragraph, body):
            levels.append(max(1, len(set(ranks.values())) + 1 + offset))
        else:
            levels.append(0)
    return levels


def _demote_cover(paragraphs: list[_Paragraph], levels: list[int]) -> None:
    """On a cover, all is large and only the largest is a heading."""
    cover = [i for i, p in enumerate(paragraphs) if p.first.page == 1]
    if len(cover) > _MAX_COVER or not any(p.first.page > 1 for p in paragraphs):
        return
    largest = max((paragraphs[i].first.size for i in cover), default=0)
    for index in cover:
        if paragraphs[index].first.size < largest:
            levels[index] = 0


def _join_kickers(paragraphs: list[_Paragraph], levels: list[int]) -> None:
    """A chapter's number, set small above its title, belongs to the title."""
    for index in range(len(paragraphs) - 1, 0, -1):
        kicker, title = paragraphs[index - 1], paragraphs[index]
        if (
            0 < levels[index] < levels[index - 1]
            and len(kicker.text) <= _MAX_KICKER
            and kicker.first.page == title.first.page
            and not kicker.text.islower()
        ):
            title.lines[:0] = kicker.lines
            del paragraphs[index - 1], levels[index - 1]


def _ranks(sizes: list[float]) -> dict[float, int]:
    """1 for the largest; sizes within 4 % are one."""
    ranks: dict[float, int] = {}
    rank, reference = 0, 0.0
    for size in sizes:
        if not reference or size < 0.96 * reference:
            rank, reference = rank + 1, size
        ranks[size] = rank
    return ranks


def _offset(paragraphs: list[_Paragraph], matched: list[int], ranks: dict[float, int]) -> int:
    found = Counter(
        level - ranks[p.first.size]
        for p, level in zip(paragraphs, matched, strict=True)
        if level and p.first.size in ranks
    )
    return found.most_common(1)[0][0] if found else 0


def _is_larger(paragraph: _Paragraph, body: float) -> bool:
    return (
        paragraph.first.size >= _LARGER * body
        and len(paragraph.text) <= _MAX_HEADING
        and not paragraph.first.mono
        and _reads_as_title(paragraph)
    )


def _is_bold_line(paragraph: _Paragraph, body: float) -> bool:
    text = paragraph.text.strip()
    return (
        paragraph.bold
        and not paragraph.first.mono
        and paragraph.first.size >= 0.95 * body
        and len(text) <= _MAX_BOLD_HEADING
        and len(paragraph.lines) <= 2
        and not _NOT_A_HEADING.search(text)
        and _reads_as_title(paragraph)
    )


def _reads_as_title(paragraph: _Paragraph) -> bool:
    line = paragraph.first
    text = line.text.strip()
    return any(map(str.isalpha, text)) and (line.right - line.left) / max(4, len(text)) < _WIDE * line.size


def _plain(text: str) -> str:
    """A title as it is compared: without its number, case and spacing."""
    text = re.sub(r"^(?:[\d.]+|chapter \S+|[A-Z]\.[\d.]*)\s+", "", normalise(text), flags=re.IGNORECASE)
    return re.sub(r"\W+", "", text).lower()


def _mend(match: re.Match[str], words: Counter[str]) -> str:
    """A word broken at a line's end: joined, unless the rest of the document writes it with a hyphen."""
    before, after = match[1], match[2]
    joined, hyphened = before + after, f"{before}-{after}"
    if words[joined.lower()]:
        return joined
    if words[hyphened.lower()] or (words[before.lower()] and words[after.lower()]) or not after[0].islower():
        return hyphened
    return joined
