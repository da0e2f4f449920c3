"""An answer's Markdown as HTML: formatting is kept; images, HTML and formulas are not.

A link to another place is no link to the browser: the page's script asks before it leads anywhere.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from engine.answering.marks import single_marks
from engine.answering.model import AnswerKind

# Private-use characters stand for our own tags until the text around them is escaped.
_OPEN_MARK, _CLOSE_MARK = "\ue000", "\ue001"
_OPEN_DOUBT, _CLOSE_DOUBT = "\ue002", "\ue003"
_OPEN_HEADER, _CLOSE_HEADER = "\ue004", "\ue005"
_OURS = re.compile("[\ue000-\ue005]")
_MARKS = re.compile(f"{_OPEN_MARK}(\\d+){_CLOSE_MARK}")
_WEB = re.compile(r"https?://[^/\s]", re.IGNORECASE)
_DOUBT = "No source supports this sentence; check it."

_written = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
_written.disable(["image", "reference", "html_block", "html_inline"])
_written.validateLink = lambda url: _WEB.match(url) is not None  # type: ignore[method-assign]
# Quotes are the documents' own words: no character in them is markup.
_quoted = MarkdownIt("zero", {"breaks": True}).enable(["blockquote", "escape", "newline"])
_BLOCK_MARKUP = re.compile(r"(?:(?:[>#*+-]+|\d+[.)])\s+)*")
_TABLE_HEADER = re.compile(r"^> \*(.*)\*  $", re.MULTILINE)


def _outside(_: Any, tokens: Sequence[Token], index: int, *rest: Any) -> str:
    address = html.escape(str(tokens[index].attrGet("href")))
    if not address:
        return "<span>"
    return f'<span class="outside" role="link" tabindex="0" title="{address}" data-address="{address}">'


_written.add_render_rule("link_open", _outside)
_written.add_render_rule("link_close", lambda *_: "</span>")


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
