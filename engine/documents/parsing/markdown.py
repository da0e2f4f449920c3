"""Markdown (.md): CommonMark with tables; front matter becomes properties."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from engine.documents.model import ParsedDocument
from engine.documents.parsing.blocks import BlockBuilder
from engine.documents.parsing.encoding import decode
from engine.documents.parsing.source import Source

_FRONT_MATTER = re.compile(r"\A---[^\S\n]*\n(.*?)\n---[^\S\n]*(?:\n|\Z)", re.DOTALL)
_PROPERTY = re.compile(r"""^([A-Za-z][\w-]*):[^\S\n]*["']?(.*?)["']?[^\S\n]*$""", re.MULTILINE)
_NAMES = {"title": "title", "author": "author", "date": "created", "description": "subject"}
_TAG = re.compile(r"<[^<>]*>")


def parse(source: Source) -> ParsedDocument:
    text = decode(source).replace("\r\n", "\n")
    builder = BlockBuilder(source)
    builder.check_characters(len(text))
    told: dict[str, str] = {}
    if match := _FRONT_MATTER.match(text):
        told = {_NAMES[k.lower()]: v for k, v in _PROPERTY.findall(match[1]) if k.lower() in _NAMES}
        text = text[match.end() :]
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    _Reader(builder).read(tokens)
    return builder.document(title=told.pop("title", ""), properties=list(told.items()))


class _Reader:
    def __init__(self, builder: BlockBuilder) -> None:
        self._builder = builder
        self._numbers: list[int | None] = []  # of each open list; None for bullets
        self._label = ""
        self._rows: list[list[str]] = []
        self._header_rows = 0

    def read(self, tokens: Sequence[Token]) -> None:
        heading = 0
        for token in tokens:
            kind = token.type
            if kind == "heading_open":
                heading = int(token.tag[1])
            elif kind == "heading_close":
                heading = 0
            elif kind == "inline":
                self._inline(_text(token), heading)
            elif kind in ("fence", "code_block"):
                self._builder.code(token.content)
            elif kind == "html_block":
                self._builder.paragraph(_TAG.sub(" ", token.content))
            else:
                self._structure(token)

    def _structure(self, token: Token) -> None:
        kind = token.type
        if kind == "ordered_list_open":
            self._numbers.append(int(token.attrGet("start") or 1) - 1)
        elif kind == "bullet_list_open":
            self._numbers.append(None)
        elif kind in ("ordered_list_close", "bullet_list_close"):
            self._numbers.pop()
        elif kind == "list_item_open":
            number = self._numbers[-1]
            self._numbers[-1] = None if number is None else number + 1
            self._label = "• " if number is None else f"{number + 1}. "
        elif kind == "tr_open":
            self._rows.append([])
        elif kind == "thead_close":
            self._header_rows = len(self._rows)
        elif kind == "table_close":
            self._builder.table(self._rows, self._header_rows)
            self._rows, self._header_rows = [], 0

    def _inline(self, text: str, heading: int) -> None:
        if self._rows:
            self._rows[-1].append(text)
        elif heading:
            self._builder.heading(text, heading)
        elif self._label:
            self._builder.list_item(self._label + text)
            self._label = ""
        else:
            self._builder.paragraph(text)


def _text(token: Token) -> str:
    pieces: list[str] = []
    for child in token.children or ():
        if child.type in ("text", "code_inline"):
            pieces.append(child.content)
        elif child.type in ("softbreak", "hardbreak"):
            pieces.append(" ")
        elif child.type == "image":
            pieces.append(child.content)
    return "".join(pieces)
