"""Opaque cursors: a place in a sorted list, as one word that fits into an address."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import replace
from datetime import date, datetime

from engine.api.problems import INVALID, FieldError, Refused
from engine.documents.paging import Position, SortKey
from engine.documents.queries import DocumentQuery

_IDS = range(1, 2**31)
_BAD = replace(
    INVALID,
    detail="This cursor cannot be used.",
    hint="Use one as it was given, with the same sort.",
    errors=(FieldError("/query/cursor", "not one that was given for this list"),),
)


def encode(query: DocumentQuery, position: Position) -> str:
    """The position, and the order that it belongs to."""
    key = position.key.isoformat() if isinstance(position.key, date) else position.key
    told = json.dumps([query.sort, query.descending, key, position.id], ensure_ascii=False)
    return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")


def decode(query: DocumentQuery, cursor: str) -> Position:
    """Raises Refused for what `encode` did not make for this order."""
    try:
        told = json.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
        sort, descending, key, document_id = told
        if (sort, descending) != (query.sort, query.descending) or document_id not in _IDS:
            raise ValueError("of another list")
        return Position(_typed(query.sort, key), int(document_id))
    except (ValueError, TypeError, RecursionError, binascii.Error) as error:
        raise Refused(_BAD) from error


def _typed(sort: str, key: object) -> SortKey:
    match sort, key:
        case "published", None:
            return None
        case "published", str():
            return date.fromisoformat(key)
        case "updated", str():
            at = datetime.fromisoformat(key)
            if at.tzinfo is None:
                raise ValueError("a time without its zone")
            return at
        case (("passages" | "size"), int()) if not isinstance(key, bool) and abs(key) < 2**62:
            return key
        case (("title" | "type" | "status" | "language"), str()) if "\0" not in key:
            key.encode()  # no lone surrogates
            return key
    raise ValueError("of another kind")
