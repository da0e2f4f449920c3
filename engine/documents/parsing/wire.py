"""A parsed document, or why there is none, as JSON between the parsing process and its parent."""

from __future__ import annotations

import json
from typing import Any

from engine.documents.model import Block, ParsedDocument
from engine.errors import UnreadableFile


def pack(result: ParsedDocument | UnreadableFile) -> bytes:
    if isinstance(result, UnreadableFile):
        _, _, message = result.message.partition(f"{result.file_name}: ")
        value: dict[str, Any] = {"reason": result.reason, "message": message, "hint": result.hint}
    else:
        value = {
            "blocks": [[b.kind, b.text, b.level, b.page, b.header] for b in result.blocks],
            "title": result.title,
            "page_count": result.page_count,
            "properties": result.properties,
        }
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def unpack(packed: bytes, file_name: str) -> ParsedDocument:
    """Raises the UnreadableFile that was packed, or ValueError for what `pack` never writes."""
    try:
        value = json.loads(packed)
        if "reason" in value:
            refusal = UnreadableFile(file_name, value["reason"], value["message"], hint=value["hint"])
        else:
            blocks = tuple(
                Block(kind, text, level, page, header) for kind, text, level, page, header in value["blocks"]
            )
            return ParsedDocument(blocks, value["title"], value["page_count"], value["properties"])
    except (KeyError, TypeError) as error:
        raise ValueError("not a packed document") from error
    raise refusal
