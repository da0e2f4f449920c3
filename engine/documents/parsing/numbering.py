"""The numbers and bullets that Word computes and stores nowhere in the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from docx.oxml.ns import qn

BULLET = "•"
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"),
          (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip
_MAX_NUMBER = 3999


@dataclass(slots=True)
class _Level:
    start: int
    format: str
    pattern: str


class Numbering:
    """Labels of numbered paragraphs, asked for in reading order.

    root: the numbering part's element, or None.
    """

    def __init__(self, root: Any | None) -> None:
        self._levels: dict[str, dict[int, _Level]] = {}
        self._counters: dict[str, dict[int, int]] = {}
        self._abstract: dict[str, str] = {}
        if root is None:
            return
        abstract = {a.get(qn("w:abstractNumId")): _levels(a) for a in root.iterchildren(qn("w:abstractNum"))}
        for num in root.iterchildren(qn("w:num")):
            num_id, reference = num.get(qn("w:numId")), num.find(qn("w:abstractNumId"))
            if num_id is None or reference is None:
                continue
            self._abstract[num_id] = reference.get(qn("w:val"))
            levels = dict(abstract.get(self._abstract[num_id], {}))
            for override in num.iterchildren(qn("w:lvlOverride")):
                start = override.find(qn("w:startOverride"))
                index = _integer(override.get(qn("w:ilvl")), 0)
                if start is not None and index in levels:
                    old = levels[index]
                    levels[index] = _Level(_integer(start.get(qn("w:val")), 1), old.format, old.pattern)
                    self._abstract[num_id] = f"{num_id} restarted"
            self._levels[num_id] = levels

    def label(self, num_id: str, index: int) -> str:
        """The next label of a list at a level, such as "2.1" or "a)"; empty if it shows none."""
        levels = self._levels.get(num_id, {})
        level = levels.get(index)
        if level is None or level.format == "none":
            return ""
        if level.format == "bullet":
            return BULLET
        counters = self._counters.setdefault(self._abstract[num_id], {})
        counters[index] = counters.get(index, level.start - 1) + 1
        for deeper in [i for i in counters if i > index]:
            del counters[deeper]
        text = level.pattern
        for i in range(index + 1):
            if f"%{i + 1}" in text and i in levels:
                text = text.replace(f"%{i + 1}", _number(counters.get(i, levels[i].start), levels[i].format))
        return text.strip()


def _levels(abstract: Any) -> dict[int, _Level]:
    found: dict[int, _Level] = {}
    for level in abstract.iterchildren(qn("w:lvl")):

        def value(name: str, default: str, level: Any = level) -> str:
            child = level.find(qn(name))
            return default if child is None else child.get(qn("w:val"), default)

        found[_integer(level.get(qn("w:ilvl")), 0)] = _Level(
            _integer(value("w:start", "1"), 1), value("w:numFmt", "decimal"), value("w:lvlText", "")
        )
    return found


def _number(number: int, format: str) -> str:
    if not 0 < number <= _MAX_NUMBER:
        return str(number)
    if format in ("lowerLetter", "upperLetter"):
        letters = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)
        return letters.upper() if format == "upperLetter" else letters
    if format in ("lowerRoman", "upperRoman"):
        roman = ""
        for value, numeral in _ROMAN:
            roman += numeral * (number // value)
            number %= value
        return roman.upper() if format == "upperRoman" else roman
    return f"{number:02d}" if format == "decimalZero" else str(number)


def _integer(text: str | None, default: int) -> int:
    try:
        return int(text or "")
    except ValueError:
        return default
