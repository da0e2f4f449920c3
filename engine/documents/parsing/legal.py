"""The structure of Vietnamese legal texts, which most files show by words and not by styles.

Phần, Chương, Mục, Tiểu mục, Điều and annexes become headings. In a text that amends others,
its clauses ("2. Sửa đổi, bổ sung Điều 9 như sau:") are headings too, and the articles that it
quotes stand below them instead of ending the article that quotes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from engine.documents.model import Block

_PART, _CHAPTER, _SECTION, _SUBSECTION, _ARTICLE, _CLAUSE, _QUOTED = range(1, 8)

_NUMBER = r"(?:\d+[a-zđ]?|[IVXLC]+|[A-ZĐ])"
_ORDINAL = r"(?:thứ\s+)?(?:nhất|hai|ba|tư|năm|sáu|bảy|tám|chín|mười(?:\s+\w+)?)"
_DIVISIONS = (
    (_PART, re.compile(rf"(?i:phần)\s+(?:{_NUMBER}|(?i:{_ORDINAL}))(?P<rest>\s*[.:–-].*|\s+[A-ZĐÀ-Ỹ].*)?")),
    (_CHAPTER, re.compile(rf"(?i:chương)\s+{_NUMBER}(?P<rest>\s*[.:–-].*|\s+.*)?")),
    (_SECTION, re.compile(rf"(?i:mục)\s+{_NUMBER}(?P<rest>\s*[.:–-].*|\s+[A-ZĐÀ-Ỹ].*)?")),
    (_SUBSECTION, re.compile(rf"(?i:tiểu\s+mục)\s+{_NUMBER}(?P<rest>\s*[.:–-].*|\s+[A-ZĐÀ-Ỹ].*)?")),
    (
        _PART,
        re.compile(
            r"(?:PHỤ LỤC|Phụ lục|MẪU SỐ|Mẫu số|BIỂU SỐ|Biểu số)"
            r"(?:\s+(?:số\s+)?[\dIVXLA-Z.]+\w?)?(?P<rest>[.:]?(?:\s.*)?)"
        ),
    ),
)
_ARTICLE_LINE = re.compile(r"(?P<label>(?i:điều)\s+(?P<number>\d{1,5})[a-zđ]{0,2}\s*[.:])\s*(?P<rest>.*)")
_CLAUSE_LINE = re.compile(
    r"\d+[a-zđ]?\.\s+(?:Sửa đổi|Bổ sung|Thay thế|Bãi bỏ|Thay cụm từ|Bỏ cụm từ|Hủy bỏ)\b"
    r".*\b(?:[Đđ]iều|khoản|điểm|mục|chương|cụm từ|phụ lục|mẫu số)\b",
    re.IGNORECASE,
)
_AMENDS = re.compile(r"(?i)sửa đổi|bổ sung|thay thế|bãi bỏ")
_OPENS = re.compile(r"""^["“«]""")
_CLOSES = re.compile(r"""["”»]\s*[.;,]*(?:\s*\.)?(?:\s*\[\d+\])?$""")
_ENDS_A_SENTENCE = re.compile(r"[.;:,]$")

LETTERHEAD = re.compile(r"(?i)cộng h(?:òa|oà) xã hội chủ nghĩa|^nơi nhận\s*:")
"""A table with such a cell only places text: the head or the foot of an official text."""

_MAX_TITLE = 250  # characters of a heading; longer lines are sentences that begin like one
_LONG_ARTICLE = 45  # a line of that length that ends as a sentence does is an article without title
_CONTENTS = 6  # headings in a row with nothing below them are a table of contents


def apply_legal_structure(blocks: Sequence[Block]) -> list[Block]:
    """`blocks` with the headings of a legal text; unchanged if it is none.

    Text is neither added, dropped nor reordered, but a division's label and the title on the
    lines after it become one heading.
    """
    if not is_legal(blocks):
        return list(blocks)
    return _demote_contents(_join_titles(list(_outline(blocks))))


def is_legal(blocks: Sequence[Block]) -> bool:
    """Whether at least two lines are articles, divisions or annexes."""
    return sum(bool(_ARTICLE_LINE.match(b.text) or _division(b.text)) for b in blocks if _plain(b)) >= 2


def _plain(block: Block) -> bool:
    return block.kind in ("paragraph", "heading", "list_item")


def _outline(blocks: Sequence[Block]) -> Iterator[Block]:
    quoted = amending = False
    article = 0
    for block in blocks:
        if not _plain(block):
            yield block
            continue
        text = block.text
        opens = bool(_OPENS.match(text))
        bare = _OPENS.sub("", text)
        if match := _ARTICLE_LINE.match(bare):
            number = int(match["number"])
            own = not opens and (not quoted or number == article + 1)
            if own:
                article, quoted, amending = number, False, bool(_AMENDS.search(match["rest"]))
            yield from _article(block, match, text, _ARTICLE if own else _QUOTED)
        elif not opens and (level := _division(text)) is not None:
            amending = False if not quoted else amending
            yield replace(block, kind="heading", level=_QUOTED if quoted else level)
        elif amending and not quoted and len(text) <= _MAX_TITLE and _CLAUSE_LINE.match(text):
            yield replace(block, kind="heading", level=_CLAUSE)
        else:
            yield block
        quoted = (quoted or opens) and not _CLOSES.search(text)


def _division(text: str) -> int | None:
    """Level of a line that begins a part, chapter, section or annex."""
    if len(text) > _MAX_TITLE or _ENDS_A_SENTENCE.search(text):
        return None
    return next((level for level, pattern in _DIVISIONS if pattern.fullmatch(text)), None)


def _article(block: Block, match: re.Match[str], text: str, level: int) -> Iterator[Block]:
    """An article's heading; where it has no title, its number alone, and its sentence below."""
    rest = match["rest"]
    sentence = len(text) > _MAX_TITLE or (len(rest) > _LONG_ARTICLE and _ENDS_A_SENTENCE.search(rest))
    if (sentence or rest.endswith((":", ";"))) and rest:
        label = text[: len(text) - len(rest)].rstrip()
        yield replace(block, kind="heading", level=level, text=label)
        yield replace(block, kind="paragraph", level=0, text=rest)
    else:
        yield replace(block, kind="heading", level=level)


def _join_titles(blocks: list[Block]) -> list[Block]:
    """ "Chương I" and its title in capitals on the next lines become one heading."""
    joined: list[Block] = []
    open_title = False
    for block in blocks:
        last = joined[-1] if joined else None
        if (
            open_title
            and last is not None
            and _plain(block)
            and block.text.isupper()
            and _division(block.text) is None
            and len(last.text) + len(block.text) < _MAX_TITLE
        ):
            joined[-1] = replace(last, text=f"{last.text} {block.text}")
            continue
        joined.append(block)
        open_title = block.kind == "heading" and block.level < _ARTICLE and _is_label(block.text)
    return joined


def _is_label(text: str) -> bool:
    return any(
        (m := pattern.fullmatch(text)) and not (m["rest"] or "").strip(" .:") for _, pattern in _DIVISIONS
    )


def _demote_contents(blocks: list[Block]) -> list[Block]:
    """A table of contents typed by hand is a list, not headings."""
    result = list(blocks)
    start = 0
    while start < len(result):
        end = start
        while end < len(result) and result[end].kind == "heading":
            end += 1
        if end - start >= _CONTENTS:
            own = end - 1  # the headings that the text after the run stands under
            while own > start and result[own - 1].level < result[own].level:
                own -= 1
            for index in range(start, own):
                result[index] = replace(result[index], kind="list_item", level=0)
        start = max(end, start + 1)
    return result
