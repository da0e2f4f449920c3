"""Web pages (.html, .htm): what a reader sees of them, without scripts, styles and navigation."""

from __future__ import annotations

from typing import Any

from selectolax.lexbor import LexborHTMLParser

from engine.documents.model import ParsedDocument
from engine.documents.parsing.blocks import BlockBuilder
from engine.documents.parsing.encoding import decode
from engine.documents.parsing.source import Source

_DROPPED = (
    "script", "style", "noscript", "template", "nav", "svg", "iframe", "object", "button", "select",
    "form input", "head link", "head meta", "[hidden]", "[aria-hidden=true]", "[role=navigation]",
)  # fmt: skip
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset(_HEADINGS) | {
    "address", "article", "aside", "blockquote", "body", "center", "dd", "details", "dialog", "div",
    "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "hr",
    "html", "li", "main", "ol", "p", "pre", "section", "summary", "table", "tbody", "td", "tfoot",
    "th", "thead", "tr", "ul",
}  # fmt: skip
_MAX_DEPTH = 300
_MAX_NODES = 3_000_000


def parse(source: Source) -> ParsedDocument:
    text = decode(source)
    builder = BlockBuilder(source)
    builder.check_characters(len(text) // 20)  # markup may outweigh text, but not without bound
    tree = LexborHTMLParser(text)
    title = tree.css_first("title")
    properties = [
        (name, _meta(tree, selector))
        for name, selector in (
            ("author", "meta[name=author]"),
            ("created", "meta[property='article:published_time'], meta[name=date], meta[name='dc.date']"),
            ("subject", "meta[name=description]"),
        )
    ]
    for selector in _DROPPED:
        for node in tree.css(selector):
            node.decompose()
    body = tree.body or tree.root
    if body is not None:
        _Reader(source, builder).read(body)
    return builder.document(title=title.text() if title else "", properties=properties)


def _meta(tree: LexborHTMLParser, selector: str) -> str:
    node = tree.css_first(selector)
    return (node.attributes.get("content") or "") if node else ""


class _Reader:
    """Walks the page without recursion, so that no nesting can exhaust the stack."""

    def __init__(self, source: Source, builder: BlockBuilder) -> None:
        self._source = source
        self._builder = builder
        self._pieces: list[str] = []
        self._item: str = ""

    def read(self, body: Any) -> None:
        node, depth, count = body.child, 1, 0
        while node is not None:
            count += 1
            if depth > _MAX_DEPTH or count > _MAX_NODES:
                raise self._source.refuse(
                    "too-complex", "it is nested too deeply, or made of too many parts."
                )
            if self._enter(node) and node.child is not None:
                node, depth = node.child, depth + 1
                continue
            self._leave(node)
            while node.next is None:
                node, depth = node.parent, depth - 1
                if depth == 0 or node is None:
                    self._flush()
                    return
                self._leave(node)
            node = node.next

    def _enter(self, node: Any) -> bool:
        """Take what the node holds; whether its children are to be read."""
        tag = node.tag
        if tag == "-text":
            self._pieces.append(node.text_content or "")
            return False
        if tag in _HEADINGS:
            self._flush()
            self._builder.heading(node.text(separator=""), _HEADINGS[tag])
            return False
        if tag == "pre":
            self._flush()
            self._builder.code(node.text(separator=""))
            return False
        if tag == "table" and _is_data(node):
            self._flush()
            self._table(node)
            return False
        if tag == "br":
            self._pieces.append(" ")
        elif tag == "img":
            self._pieces.append(f" {node.attributes.get('alt') or ''} ")
        elif tag in _BLOCKS:
            self._flush()
            if tag == "li":
                self._item = f"{_number(node)} "
        return True

    def _leave(self, node: Any) -> None:
        if node.tag in _BLOCKS:
            self._flush()

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


def _number(item: Any) -> str:
    """An item's number in its list, or a bullet."""
    parent = item.parent
    if parent is None or parent.tag != "ol":
        return "•"
    start = parent.attributes.get("start") or "1"
    number, before = int(start) if start.isdecimal() else 1, item.prev
    while before is not None:
        number += before.tag == "li"
        before = before.prev
    return f"{number}."
