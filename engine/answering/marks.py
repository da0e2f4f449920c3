"""Citation marks in a model's Markdown: found, brought to the form [n], or taken out.

What counts as a mark: [1], [1, 2], [1][2], [1-3], [1]–[3], [[1]], 【1】, 【1†…】, [^1], [source 1],
[nguồn 1]. What does not: code, links and images, escaped brackets, years such as [2024],
anything with a zero ([0, 1] is an interval), and indexing glued to an identifier (`row_ids[1]`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_SOURCE = r"(?:sources?|passages?|references?|refs?|citations?|documents?|docs?|nguồn|tài\ liệu|đoạn)"
_WORD = rf"(?:{_SOURCE}\s*[:#]?\s*|[#^])?"
_DASH = r"[-‑–—]"
_INSIDE = rf"\s*{_WORD}\d{{1,3}}(?:\s*(?:[,;&、，]|and|và|{_DASH})\s*{_WORD}\d{{1,3}})*\s*(?:†[^\]】\n]*)?"
_MARK = rf"(?:\[\[{_INSIDE}\]\]|\[{_INSIDE}\]|【{_INSIDE}】)"
_SCAN = re.compile(
    rf"""
    (?P<fence>^[ ]{{0,3}}(?P<ticks>`{{3,}}|~{{3,}})[^\n]*(?:\n.*?(?:^[ ]{{0,3}}(?P=ticks)[^\n]*$|\Z)|\Z))
    |(?P<code>(?<!`)(?P<tick>`+)(?!`)[^\n]*?(?<!`)(?P=tick)(?!`))
    |(?P<escaped>\\[\[\]!`])
    |(?P<definition>^[ \t>]*(?:(?:[-*+]|\d{{1,3}}[.)])[ \t]+[ \t>]*)*\[[^\]\n]+\]:)
    |(?P<image>!(?=\[[^\0]{{0,2000}}?\]\())
    |(?P<link>\[[^\[\]\n]*\]\((?:<[^<>\n]*>|[^()\s<]*)(?:\s+"[^"\n]*")?\))
    |(?P<run>{_MARK}(?:[ \t]*(?:[,;]|{_DASH})?[ \t]*{_MARK})*)
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL | re.IGNORECASE,
)
_ONE_MARK = re.compile(_MARK, re.IGNORECASE)
_NUMBERS = re.compile(rf"\d+|{_DASH}")
_INDEXED = re.compile(r"[A-Za-z_$][\w$]*_[\w$]*\Z|\$[\w$]*\Z")
_INDEXING = re.compile(r"\s*=(?!=)|\w|\.[a-z_]")
_BLANK = " \t"


@dataclass(frozen=True, slots=True)
class Mark:
    """One place of `text[start:end]` that cites the sources of `numbers`, in order."""

    start: int
    end: int
    numbers: tuple[int, ...]


def find_marks(text: str) -> list[Mark]:
    """Every run of marks, whatever its form and wherever it points."""
    return [
        Mark(match.start(), match.end(), _numbers(match["run"]))
        for match in _SCAN.finditer(text)
        if match["run"] and _is_mark(text, match)
    ]


def normalise_marks(text: str, count: int) -> tuple[str, int]:
    """`text` with marks of the form [n], 1 ≤ n ≤ `count`, and how many pointed elsewhere.

    Those are taken out with the blank before them. Images become links and link definitions
    plain text, so that no mark and no fetched picture can be made by a document. Nothing else
    changes; doing it again changes nothing.
    """
    removed = 0
    while True:
        # Taking a mark out can bring a new one together ("[[9]1]"); each round is shorter.
        changed, dangling = _pass(text, count)
        removed += dangling
        if changed == text:
            return text, removed
        text = changed


def remove_marks(text: str) -> str:
    """`text` without any mark."""
    return normalise_marks(text, 0)[0]


def single_marks(text: str) -> Iterator[tuple[int, int, int]]:
    """Start, end and number of each [n] of a normalised text."""
    for mark in find_marks(text):
        for one in _ONE_MARK.finditer(text, mark.start, mark.end):
            if (number := one[0][1:-1]).isdigit():
                yield one.start(), one.end(), int(number)


def escape_marks(text: str) -> str:
    """A source's own text with what looks like a mark in it escaped, as Markdown shows it."""
    return _ONE_MARK.sub(lambda mark: "\\" + mark[0], text)


class MarkStream:
    """Normalises marks in a text that comes in pieces; never lets half a mark through."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._held = ""
        self._before = "\n"

    def feed(self, piece: str) -> str:
        """What can be shown by now."""
        text = self._held + piece
        cut = _safe(text)
        self._held = text[cut:]
        return self._normal(text[:cut])

    def flush(self) -> str:
        """What was held back, at the end of the stream."""
        held, self._held = self._held, ""
        return self._normal(held)

    def _normal(self, text: str) -> str:
        """`text` normalised as it would be where it stands."""
        shown = normalise_marks(self._before + text, self._count)[0][1:]
        if text:
            last = text[-1]
            self._before = last if last.isalnum() or last == "\n" else "."
        return shown


# What may still become a mark, a run of marks or a link, with what would go with it.
_OPEN = re.compile(
    rf"(?:[ \t(!\\]*(?:{_MARK}(?:[ \t]*(?:[,;]|{_DASH})?[ \t]*{_MARK})*[ \t]*[,;–—-]?[ \t]*)?"
    r"(?:(?:\[\[?|【)[^\[\]【】\n]{0,40}\]?)?)\Z",
    re.IGNORECASE,
)


def _safe(text: str) -> int:
    """How much of `text` can be shown whatever comes next."""
    start = len(text)
    # At most a few marks of a few characters: look no further back than that.
    for match in re.finditer(r"[ \t(!\\\[【]", text[max(0, start - 120) :]):
        at = max(0, len(text) - 120) + match.start()
        if _OPEN.match(text, at):
            return at
    return start


def _pass(text: str, count: int) -> tuple[str, int]:
    kept: list[str] = []
    removed, done = 0, 0
    for match in _SCAN.finditer(text):
        start, end = match.span()
        if match["image"]:
            put = ""
        elif match["definition"]:
            put = match["definition"][:-1] + " :"
        elif match["run"] and _is_mark(text, match):
            numbers = _numbers(match["run"])
            put = "".join(f"[{n}]" for n in dict.fromkeys(numbers) if n <= count)
            removed += sum(n > count for n in numbers)
            if not put:
                start, end = _with_surroundings(text, start, end)
                start = max(start, done)
        else:
            continue
        kept.append(text[done:start] + put)
        done = end
    return "".join(kept) + text[done:], removed


def _numbers(run: str) -> tuple[int, ...]:
    """The numbers of a run, ranges written out. A range is at most 20 long, else its two ends."""
    numbers: list[int] = []
    ranging = False
    for token in _NUMBERS.findall(re.sub(r"†[^\]】]*", "", run)):
        if not token.isdigit():
            ranging = bool(numbers)
            continue
        number = int(token)
        if ranging and 0 < number - numbers[-1] <= 20:
            numbers.extend(range(numbers[-1] + 1, number))
        numbers.append(number)
        ranging = False
    return tuple(numbers)


def _is_mark(text: str, match: re.Match[str]) -> bool:
    """Whether a run cites, and is not an interval or an index."""
    if 0 in _numbers(match["run"]):
        return False
    start, end = match.span()
    glued = start > 0 and (text[start - 1].isalnum() or text[start - 1] in "_$")
    if not glued:
        return True
    word = text[max(0, start - 40) : start]
    return not (_INDEXED.search(word) or _INDEXING.match(text, end))


def _with_surroundings(text: str, start: int, end: int) -> tuple[int, int]:
    """A mark to be taken out, with parentheses that hold nothing else and one side's blanks."""
    if text[start - 1 : start] == "(" and text[end : end + 1] == ")":
        start, end = start - 1, end + 1
    before = start
    while before and text[before - 1] in _BLANK:
        before -= 1
    if before and text[before - 1] != "\n":
        return before, end
    while end < len(text) and text[end] in _BLANK:
        end += 1
    return start, end
