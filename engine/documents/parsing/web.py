"""Web pages (.html, .htm): what a reader sees of them, without scripts, styles and navigation."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from engine.documents.model import ParsedDocument
from engine.documents.parsing.blocks import BlockBuilder
from engine.documents.parsing.encoding import decode
from engine.documents.parsing.source import Source

_DROPPED = frozenset(
    {"script", "style", "noscript", "template", "nav", "svg", "iframe", "object", "button", "select", "input"}
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset(_HEADINGS) | {
    "address", "article", "aside", "blockquote", "body", "center", "dd", "details", "dialog", "div",
    "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "hr",
    "html", "li", "main", "ol", "p", "pre", "section", "summary", "table", "tbody", "td", "tfoot",
    "th", "thead", "tr", "ul",
}  # fmt: skip
_NESTING = re.compile(
    r"<(/?)(?:a|b|blockquote|center|div|em|font|form|i|ol|section|small|span|strong|sub|sup|table|u|ul)\b",
    re.IGNORECASE,
)
_UNSEEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|(?:opacity|font-size)\s*:\s*0(?![.\d]*[1-9])", re.IGNORECASE
)
_MAX_OPEN = 3_000
_MAX_DEPTH = 300
_MAX_NODES = 3_000_000


def parse(source: Source) -> ParsedDocument:
    text = decode(source)
    builder = BlockBuilder(source)
    builder.check_characters(len(text) // 20)  # markup may outweigh text, but not without bound
    too_complex = source.refuse(
        "too-complex",
        "it is nested too deeply, or made of too many parts.",
        "Print it to a PDF in the browser.",
    )
    if _open_tags(text) > _MAX_OPEN:
        raise too_complex
    tree = LexborHTMLParser(text)
    if tree.body is not None and not _is_sane(tree.body):
        raise too_complex
    title = tree.css_first("title")
    properties = [
        (name, _meta(tree, selector))
        for name, selector in (
            ("author", "meta[name=author]"),
            ("created", "meta[property='article:published_time'], meta[name=date], meta[name='dc.date']"),
            ("subject", "meta[name=description]"),
        )
    ]
    if tree.body is not None:
        _Reader(builder).read(tree.body)
    return builder.document(title=title.text() if title else "", properties=properties)


def _open_tags(text: str) -> int:
    """The most elements open at once, roughly; the parser's time grows with its square."""
    depth = deepest = 0
    for match in _NESTING.finditer(text):
        depth += -1 if match[1] else 1
        deepest = max(deepest, depth)
    return deepest


def _meta(tree: LexborHTMLParser, selector: str) -> str:
    node = tree.css_first(selector)
    return (node.attributes.get("content") or "") if node else ""


def _steps(top: Any, enter: Callable[[Any, int], bool], leave: Callable[[Any], None]) -> None:
    """Walk what is below a node, without recursion: no nesting can exhaust the stack.

    enter: takes a node and its depth, says whether its children are to be visited.
    """
    node, depth = top.child, 1
    while node is not None:
        if enter(node, depth) and node.child is not None:
            node, depth = node.child, depth + 1
            continue
        leave(node)
        while node.next is None:
            node, depth = node.parent, depth - 1
            if depth == 0:
                return
            leave(node)
        node = node.next


def _is_sane(body: Any) -> bool:
    """Whether depth and number of parts are those of a page that people wrote."""
    deepest = count = 0

    def enter(node: Any, depth: int) -> bool:
        nonlocal deepest, count
        deepest, count = max(deepest, depth), count + 1
        return depth <= _MAX_DEPTH and count <= _MAX_NODES

    _steps(body, enter, lambda node: None)
    return deepest <= _MAX_DEPTH and count <= _MAX_NODES


class _Reader:
    def __init__(self, builder: BlockBuilder) -> None:
        self._builder = builder
        self._pieces: list[str] = []
        self._numbers: list[int | None] = []  # of each open list; None for bullets
        self._item = ""  # label of the list item that has no text yet

    def read(self, body: Any) -> None:
        _steps(body, self._enter, self._leave)
        self._flush()

    def _enter(self, node: Any, depth: int) -> bool:
        """Take what the node holds; whether its children are to be read."""
        tag = node.tag
        if tag == "-text":
            self._pieces.append(node.text_content or "")
        elif tag in _DROPPED or _is_hidden(node):
            return False
        elif tag == "br":
            self._pieces.append(" ")
        elif tag == "img":
            self._pieces.append(f" {node.attributes.get('alt') or ''} ")
        elif tag in _BLOCKS:
            self._flush()
            return self._enter_block(node)
        return True

    def _enter_block(self, node: Any) -> bool:
        tag = node.tag
        if tag in _HEADINGS:
            self._builder.heading(node.text(separator=""), _HEADINGS[tag])
        elif tag == "pre":
            self._builder.code(node.text(separator=""))
        elif tag == "table" and _is_data(node):
            self._table(node)
        else:
            if tag in ("ol", "ul"):
                start = node.attributes.get("start") or "1"
                self._numbers.append(
                    None if tag == "ul" else int(start) - 1 if start.isdecimal() and len(start) < 9 else 0
                )
            elif tag == "li":
                self._item = self._next_label()
            return True
        return False

    def _next_label(self) -> str:
        number = self._numbers[-1] if self._numbers else None
        if number is None:
            return "• "
        self._numbers[-1] = number + 1
        return f"{number + 1}. "

    def _leave(self, node: Any) -> None:
        if node.tag in _BLOCKS:
            self._flush()
        if node.tag in ("ol", "ul"):
            self._numbers.pop()
        elif node.tag == "li":
            self._item = ""

    def _flush(self) -> None:
        text = "".join(self._pieces).strip()
        self._pieces.clear()
        if not text:
            return
        if self._item:
            self._builder.list_item(self._item + text)
            self._item = ""
        else:
            self._builder.paragraph(text)

    def _table(self, table: Any) -> None:
        rows: list[list[str]] = []
        header_rows = 0
        for row in table.css("tr"):
            cells = [cell for cell in row.iter() if cell.tag in ("td", "th")]
            texts: list[str] = []
            for cell in cells:
                texts.append(cell.text(separator=" "))
                texts += [""] * (_span(cell) - 1)
            if not any(text.strip() for text in texts):
                continue
            if cells and header_rows == len(rows) and all(cell.tag == "th" for cell in cells):
                header_rows += 1
            rows.append(texts)
        caption = table.css_first("caption")
        if caption is not None:
            self._builder.paragraph(caption.text())
        self._builder.table(rows, header_rows if header_rows < len(rows) else 0)


def _is_data(table: Any) -> bool:
    """Whether a table holds data; older pages also place their whole text with tables."""
    return table.css_first("table table, h1, h2, h3, ul, ol, pre") is None and len(table.css("tr")) > 0


def _span(cell: Any) -> int:
    value = cell.attributes.get("colspan") or "1"
    return min(int(value), 1000) if value.isdecimal() and int(value) > 0 else 1


def _is_hidden(node: Any) -> bool:
    attributes = node.attributes
    return (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or attributes.get("role") == "navigation"
        or _UNSEEN.search(attributes.get("style") or "") is not None
    )
