"""The sentences of an answer in Markdown, each with the sources that it cites."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field

from engine.answering.marks import single_marks
from engine.text.sentences import split_sentences

# What stands before the text of a line: quote signs, bullets and numbers of lists.
_PREFIX = re.compile(r"[ \t>]*(?:(?:[-*+•]|\d{1,3}[.)])[ \t]+)*")
_HEADING = re.compile(r"[ \t>]*(?:#{1,6}(?:[ \t]|$)|\*\*[^*\n]+\*\*:?[ \t]*$|[-=*_][-=*_ \t]*$)")
_TABLE_RULE = re.compile(r"[ \t>]*\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t]*:?-*:?[ \t]*)*$")
_FENCE = re.compile(r"[ \t>]*(```|~~~)")


@dataclass(slots=True)
class Statement:
    """A sentence, list item or table row.

    start, end: offsets in the answer; marks at the end are outside. plain: without marks and
    list signs. numbers: the sources that it cites. nearby: those that its paragraph, list or
    table cites.
    """

    start: int
    end: int
    plain: str
    numbers: list[int] = field(default_factory=list)
    nearby: list[int] = field(default_factory=list)


def find_statements(text: str) -> list[Statement]:
    """The statements of an answer whose marks are normalised; headings and code are none.

    A mark belongs to the sentence that it stands in or after; at the start of a line, to the
    one that follows; on a line of its own, to the one before.
    """
    plain, origin, marks = _without_marks(text)
    found: list[Statement] = []
    nearby: list[int] = []
    fence, offset, at = "", 0, 0
    lines = plain.split("\n")
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if opened := _FENCE.match(line):
            fence = opened[1] if not fence else "" if fence == opened[1] else fence
            spans = []
        else:
            spans = [] if fence else _spans(line, below)
        if not line.strip():
            nearby = []
        new = [
            Statement(origin[offset + start], origin[offset + end - 1] + 1, line[start:end], nearby=nearby)
            for start, end in spans
        ]
        found.extend(new)
        while at < len(marks) and marks[at][0] <= offset + len(line):
            position, number = marks[at]
            at += 1
            nearby.append(number)
            if new:
                after = bisect_left([offset + start for start, _ in spans], position)
                new[max(after - 1, 0)].numbers.append(number)
            elif found:
                found[-1].numbers.append(number)
        offset += len(line) + 1
    return found


def _without_marks(text: str) -> tuple[str, list[int], list[tuple[int, int]]]:
    """The text without marks, where each of its characters was, and (place, number) of each mark."""
    kept: list[str] = []
    origin: list[int] = []
    marks: list[tuple[int, int]] = []
    done = 0
    for start, end, number in single_marks(text):
        stop = start
        if text[end : end + 1] in tuple(".,;:!?)["):
            stop = max(done, len(text[:start].rstrip(" \t")))
        kept.append(text[done:stop])
        origin.extend(range(done, stop))
        marks.append((len(origin), number))
        done = end
    kept.append(text[done:])
    origin.extend(range(done, len(text)))
    return "".join(kept), origin, marks


def _spans(line: str, below: str) -> list[tuple[int, int]]:
    """The sentences of one line as offsets in it."""
    if _HEADING.match(line) or _TABLE_RULE.match(line):
        return []
    prefix = _PREFIX.match(line)
    start = prefix.end() if prefix else 0
    content = line[start:]
    if "|" in content and (content.lstrip().startswith("|") or _TABLE_RULE.match(below)):
        spans = [] if _TABLE_RULE.match(below) else [(0, len(content))]
    else:
        spans = split_sentences(content)
    trimmed = ((start + a, content[a:b]) for a, b in spans)
    return [
        (a + len(part) - len(part.lstrip()), a + len(part.rstrip())) for a, part in trimmed if part.strip()
    ]
