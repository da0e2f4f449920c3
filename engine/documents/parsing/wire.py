"""What a parsing process found, or why it found nothing, on its way to the parent.

The parent trusts none of it: the process may have been taken over by the file that it read.
"""

from __future__ import annotations

import json
import struct
from typing import Any, get_args

from engine.documents.model import Block, BlockKind, PageImage, ParsedDocument
from engine.errors import NotFound, UnreadableFile

_KINDS = frozenset(get_args(BlockKind))
_REFUSED = b"\0"  # JSON never begins with it, and neither does a packed page
_PAGE = struct.Struct("!cIIII")  # found or not, page, width, height, boxes
_BOX = struct.Struct("!iiii")
_PNG = b"\x89PNG\r\n\x1a\n"


def pack(result: ParsedDocument | UnreadableFile | NotFound) -> bytes:
    """A document as JSON; a refusal as JSON after a zero byte."""
    if isinstance(result, ParsedDocument):
        return _json(
            {
                "blocks": [[b.kind, b.text, b.level, b.page, b.header] for b in result.blocks],
                "title": result.title,
                "page_count": result.page_count,
                "properties": result.properties,
            }
        )
    if isinstance(result, NotFound):
        return _REFUSED + _json({"missing": result.message})
    _, _, message = result.message.partition(f"{result.file_name}: ")
    return _REFUSED + _json({"reason": result.reason, "message": message, "hint": result.hint})


def pack_page(page: int, image: PageImage) -> bytes:
    """A drawn page: its measures, the marked lines, the PNG."""
    head = _PAGE.pack(b"y" if image.found else b"n", page, image.width, image.height, len(image.boxes))
    return head + b"".join(_BOX.pack(*box) for box in image.boxes) + image.png


def unpack(packed: bytes, file_name: str) -> ParsedDocument:
    """Raises the UnreadableFile that was packed, or ValueError for what `pack` never writes."""
    _raise_refusal(packed, file_name)
    try:
        value = json.loads(packed)
        blocks = tuple(_block(*block) for block in value["blocks"])
        properties = {_text(name): _text(told) for name, told in value["properties"].items()}
        return ParsedDocument(blocks, _text(value["title"]), _number(value["page_count"]), properties)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("not a packed document") from error


def unpack_page(packed: bytes, file_name: str) -> tuple[int, PageImage]:
    """As `unpack`, for a drawn page; raises NotFound, too."""
    _raise_refusal(packed, file_name)
    try:
        found, page, width, height, count = _PAGE.unpack_from(packed)
        end = _PAGE.size + count * _BOX.size
        boxes = tuple(_BOX.iter_unpack(packed[_PAGE.size : end]))
    except struct.error as error:
        raise ValueError("not a packed page") from error
    png = packed[end:]
    if len(boxes) != count or not png.startswith(_PNG):
        raise ValueError("not a packed page")
    return page, PageImage(png, width, height, boxes, found == b"y")


def _raise_refusal(packed: bytes, file_name: str) -> None:
    if not packed.startswith(_REFUSED):
        return
    try:
        value = json.loads(packed[1:])
        if "missing" in value:
            refusal: UnreadableFile | NotFound = NotFound(_text(value["missing"]))
        else:
            reason, message = _text(value["reason"]), _text(value["message"])
            refusal = UnreadableFile(file_name, reason, message, hint=_text(value["hint"]))
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError("not a packed refusal") from error
    raise refusal


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _block(kind: BlockKind, text: object, level: object, page: object, header: object) -> Block:
    if kind not in _KINDS:
        raise TypeError(f"no kind of block: {kind!r}")
    return Block(kind, _text(text), _number(level) or 0, _number(page), _text(header))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _number(value: object) -> int | None:
    if value is not None and not (isinstance(value, int) and 0 <= value < 2**31):
        raise TypeError("not a number")
    return value
