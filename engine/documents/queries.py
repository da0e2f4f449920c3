"""Questions about the documents themselves: lists, counts, outlines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from engine.documents.model import Document, DocumentFilter

Change = Literal["changed", "gone"]
Sort = Literal["title", "type", "status", "language", "passages", "size", "published", "updated"]


@dataclass(frozen=True, slots=True)
class DocumentQuery:
    """One page of the list of documents."""

    filter: DocumentFilter = field(default_factory=DocumentFilter)
    sort: Sort = "updated"
    descending: bool = True
    offset: int = 0
    limit: int = 50


@dataclass(frozen=True, slots=True)
class DocumentList:
    """rows: the page asked for. total: how many documents match."""

    rows: tuple[Document, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts over the documents that are not deleted; size in bytes."""

    documents: int
    passages: int
    bytes: int
    by_type: dict[str, int]
    by_language: dict[str, int]
    by_status: dict[str, int]


@dataclass(frozen=True, slots=True)
class Facets:
    """Values in use, for filters; most frequent first.

    collections: names, by number, of those that the asker reads; none without access control.
    """

    types: tuple[str, ...]
    languages: tuple[str, ...]
    tags: tuple[str, ...]
    collections: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OutlineEntry:
    """A heading and the position of the first passage under it. level: 1 is the outermost."""

    heading: str
    level: int
    position: int
    page: int | None
