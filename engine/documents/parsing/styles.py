"""What the styles of a Word document say of its paragraphs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from docx.oxml.ns import qn

_HEADING = re.compile(r"(?:heading|đầu đề|tiêu đề)\s*(\d)$")
_CONTENTS = re.compile(r"(?:toc|mục lục)\s*\d$|table of figures$")
_DEEPEST = 9  # "body text" as an outline level


@dataclass(frozen=True, slots=True)
class Style:
    """level: depth of a heading, 0 for other paragraphs. is_contents: an entry of a generated list.

    numbering: id and level of the list that the style puts its paragraphs into.
    """

    level: int = 0
    is_contents: bool = False
    bold: bool = False
    numbering: tuple[str, int] | None = None


class Styles:
    """Paragraph styles by id, what they inherit included. root: the styles part's element."""

    def __init__(self, root: Any) -> None:
        self._elements = {
            style.get(qn("w:styleId")): style
            for style in root.iterchildren(qn("w:style"))
            if style.get(qn("w:type")) == "paragraph"
        }
        self._known: dict[str, Style] = {}
        defaults = [i for i, e in self._elements.items() if e.get(qn("w:default")) in ("1", "true")]
        self._default = defaults[0] if defaults else ""

    def of(self, paragraph: Any) -> Style:
        """The style of a paragraph; an outline level of its own wins."""
        properties = paragraph.find(qn("w:pPr"))
        if properties is None:
            return self._style(self._default)
        reference = properties.find(qn("w:pStyle"))
        style = self._style(reference.get(qn("w:val")) if reference is not None else self._default)
        own = _outline_level(properties)
        if own is None or own == style.level:
            return style
        return Style(own, style.is_contents, style.bold, style.numbering)

    def _style(self, style_id: str, depth: int = 0) -> Style:
        if style_id in self._known:
            return self._known[style_id]
        element = self._elements.get(style_id)
        if element is None or depth > 20:
            return Style()
        based_on = element.find(qn("w:basedOn"))
        parent = Style() if based_on is None else self._style(based_on.get(qn("w:val")), depth + 1)
        name_element = element.find(qn("w:name"))
        name = (name_element.get(qn("w:val")) if name_element is not None else "").lower()
        level = _outline_level(element.find(qn("w:pPr")))
        if match := _HEADING.fullmatch(name):
            level = int(match[1])
        elif name == "title":
            level = 1
        bold = element.find(f"{qn('w:rPr')}/{qn('w:b')}")
        self._known[style_id] = Style(
            parent.level if level is None else level,
            bool(_CONTENTS.fullmatch(name)) or parent.is_contents,
            parent.bold if bold is None else bold.get(qn("w:val"), "true") not in ("0", "false", "off"),
            _numbering(element) or parent.numbering,
        )
        return self._known[style_id]


def _outline_level(properties: Any | None) -> int | None:
    """From 1; 0 for body text; None where nothing is said."""
    element = None if properties is None else properties.find(qn("w:outlineLvl"))
    if element is None:
        return None
    level = int(element.get(qn("w:val"), str(_DEEPEST)))
    return level + 1 if level < _DEEPEST else 0


def _numbering(style: Any) -> tuple[str, int] | None:
    numbering = style.find(f"{qn('w:pPr')}/{qn('w:numPr')}")
    num_id = None if numbering is None else numbering.find(qn("w:numId"))
    if num_id is None:
        return None
    level = numbering.find(qn("w:ilvl"))
    return num_id.get(qn("w:val"), ""), int(level.get(qn("w:val"), "0")) if level is not None else 0
