"""An answer's Markdown as HTML: formatting is kept; links, images, HTML and formulas are not."""

from __future__ import annotations

import re
from functools import lru_cache

from markdown_it import MarkdownIt

from engine.answering.marks import single_marks
from engine.answering.model import AnswerKind

# Private-use characters stand for our own tags until the text around them is escaped.
_OPEN_MARK, _CLOSE_MARK = "\ue000", "\ue001"
_OPEN_DOUBT, _CLOSE_DOUBT = "\ue002", "\ue003"
_OPEN_HEADER, _CLOSE_HEADER = "\ue004", "\ue005"
_OURS = re.compile("[\ue000-\ue005]")
_MARKS = re.compile(f"{_OPEN_MARK}(\\d+){_CLOSE_MARK}")
_DOUBT = "No source supports this sentence; check it."

_written = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
_written.disable(["link", "image", "autolink", "reference", "html_block", "html_inline"])
# Quotes are the documents' own words: no character in them is markup.
_quoted = MarkdownIt("zero", {"breaks": True}).enable(["blockquote", "escape", "newline"])
_BLOCK_MARKUP = re.compile(r"(?:(?:[>#*+-]+|\d+[.)])\s+)*")
_TABLE_HEADER = re.compile(r"^> \*(.*)\*  $", re.MULTILINE)


@lru_cache(maxsize=1024)  # every run of the page draws the earlier answers again
def answer_html(
    text: str, kind: AnswerKind = "generated", *, turn: int = 0, unsupported: tuple[str, ...] = ()
) -> str:
    """Safe HTML of an answer; [n] links to `#source-TURN-n`, sentences without support are marked."""
    if not text.strip():
        return ""
    text = _OURS.sub("", text)
    edits = [(start, end, f"{_OPEN_MARK}{number}{_CLOSE_MARK}") for start, end, number in single_marks(text)]
    for sentence in unsupported:
        start, end = text.find(sentence), text.find(sentence) + len(sentence)
        if start >= 0 and not set("\n|") & set(sentence):  # a tag must not span lines or cells
            start += len(_BLOCK_MARKUP.match(sentence)[0])  # type: ignore[index]
            edits += [(start, start, _OPEN_DOUBT), (end, end, _CLOSE_DOUBT)]
    for start, end, put in sorted(edits, reverse=True):
        text = text[:start] + put + text[end:]
    if kind == "generated":
        body = _written.render(text)
    else:
        body = _quoted.render(_TABLE_HEADER.sub(rf"> {_OPEN_HEADER}\1{_CLOSE_HEADER}  ", text))
    body = _MARKS.sub(rf'<a class="cite" href="#source-{turn}-\1" aria-label="Source \1">\1</a>', body)
    for ours, tag in (
        (_OPEN_DOUBT, f'<span class="doubt" title="{_DOUBT}">'),
        (_CLOSE_DOUBT, "</span>"),
        (_OPEN_HEADER, '<span class="table-header">'),
        (_CLOSE_HEADER, "</span>"),
    ):
        body = body.replace(ours, tag)
    return f'<div class="answer {kind}">{_OURS.sub("", body)}</div>'


def numbers_in(text: str) -> list[int]:
    """The sources that a text cites, each once, in order."""
    return sorted({number for _, _, number in single_marks(text)})
