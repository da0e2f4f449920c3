"""What a document is: plain values, shared by parsing, ingestion, storage and the pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from engine.text.languages import UNKNOWN

BlockKind = Literal["heading", "paragraph", "list_item", "table_row", "code"]
Status = Literal["active", "draft", "superseded", "expired"]
Box = tuple[int, int, int, int]
STATUSES: tuple[Status, ...] = ("active", "draft", "superseded", "expired")


@dataclass(frozen=True, slots=True)
class Block:
    """One structural unit of a parsed file, in reading order.

    text: normalised (NFC, single spaces), never empty. A table row is its cells joined
        with " | "; `header` then holds the header row in the same form, so that a row
        stays readable away from its table.
    level: depth of a heading, 1 the highest; 0 for anything else.
    page: page, slide or sheet number, from 1; None where the format has no pages.
    """

    kind: BlockKind
    text: str
    level: int = 0
    page: int | None = None
    header: str = ""


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A file turned into text.

    title: from the file's own properties or its first heading; empty if it has neither.
    page_count: pages, slides or sheets; None where the format has none.
    properties: what the file says of itself (``author``, ``created`` …), as text.
    """

    blocks: tuple[Block, ...]
    title: str = ""
    page_count: int | None = None
    properties: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PageImage:
    """A drawn page.

    width, height: pixels. boxes: (left, top, right, bottom) in pixels of each marked line.
    found: whether the quotation, or most of it, is on the page.
    """

    png: bytes
    width: int
    height: int
    boxes: tuple[Box, ...]
    found: bool


@dataclass(frozen=True, slots=True)
class PassageDraft:
    """A passage before it is stored.

    start, end: character offsets into the document's text, which is the passages' texts
        in order joined with a newline; the passages tile the document, none overlaps.
    heading: the headings above it, outermost first, joined with " › "; may be empty.
    context: what is embedded and shown before the text but is not part of it (a table's
        header row); may be empty.
    page, last_page: pages of its first and last character.
    """

    position: int
    text: str
    heading: str
    start: int
    end: int
    context: str = ""
    page: int | None = None
    last_page: int | None = None


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is guessed at ingestion and edited in place afterwards."""

    title: str
    language: str  # ISO 639-1, or "und"
    status: Status = "active"
    published_on: date | None = None
    effective_on: date | None = None
    expires_on: date | None = None
    superseded_by: int | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A stored document; one row of the Documents page.

    type: file format by its usual extension without the dot (``pdf``, ``docx`` …).
    version: counts the contents that this document has had, from 1.
    content_hash: SHA-256 of the file, hexadecimal.
    """

    id: int
    file_name: str
    type: str
    version: int
    content_hash: str
    size_bytes: int
    page_count: int | None
    passage_count: int
    metadata: Metadata
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None
    collection_id: int = 1

    @property
    def in_force(self) -> bool:
        """Whether retrieval should prefer it: not superseded, expired or a draft."""
        return self.metadata.status == "active"


@dataclass(frozen=True, slots=True)
class Passage:
    """A stored passage, with what is needed to cite it without another query.

    start, end: character offsets into the document's text (see PassageDraft).
    content_hash: SHA-256 of the text, hexadecimal.
    page, last_page: of its first and its last character.
    language: its document's, ISO 639-1 or "und".
    """

    id: int
    document_id: int
    document_title: str
    document_type: str
    document_status: Status
    document_version: int
    position: int
    text: str
    heading: str
    context: str
    page: int | None
    start: int
    end: int
    content_hash: str
    last_page: int | None = None
    language: str = UNKNOWN


@dataclass(frozen=True, slots=True)
class DocumentFilter:
    """Which documents a question or a list is about; empty fields do not restrict.

    Within a field any value may match (for `tags` too); all given fields must hold.
    published_from, published_to: inclusive.
    text: words of the title or the file name. collection_ids: those that one does not read hold nothing.
    """

    document_ids: tuple[int, ...] = ()
    types: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    statuses: tuple[Status, ...] = ()
    published_from: date | None = None
    published_to: date | None = None
    text: str = ""
    collection_ids: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return self != DocumentFilter()
