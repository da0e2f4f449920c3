"""Rows of documents and passages as the values that stores give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ARRAY, Integer, Row, Select, any_, bindparam, select

from engine.documents.model import Document, Metadata
from engine.storage.fixed import Fixed
from engine.storage.tables import documents, passages
from engine.text.normalisation import normalise

METADATA = (
    "title",
    "language",
    "status",
    "published_on",
    "effective_on",
    "expires_on",
    "superseded_by",
    "tags",
)
_PASSAGE_COLUMNS = (  # in the order of Passage's fields
    passages.c.id,
    passages.c.document_id,
    documents.c.title,
    documents.c.type,
    documents.c.status,
    documents.c.version,
    passages.c.position,
    passages.c.text,
    passages.c.heading,
    passages.c.context,
    passages.c.page,
    passages.c.start_char,
    passages.c.end_char,
    passages.c.content_hash,
    passages.c.last_page,
    documents.c.language,
)


def select_passages() -> Select[Any]:
    """Passages with what is told of their documents; a row is what a Passage is made of."""
    return select(*_PASSAGE_COLUMNS).join(documents, documents.c.id == passages.c.document_id)


# With everybody's rights: those with the given ids whose document is there.
LIVING_PASSAGES = Fixed(
    select_passages().where(
        passages.c.id == any_(bindparam("ids", type_=ARRAY(Integer))), documents.c.deleted_at.is_(None)
    )
)


def document_of(row: Row[Any]) -> Document:
    """A row of `documents`."""
    return Document(
        id=row.id,
        file_name=row.file_name,
        type=row.type,
        version=row.version,
        content_hash=row.content_hash,
        size_bytes=row.size_bytes,
        page_count=row.page_count,
        passage_count=row.passage_count,
        metadata=Metadata(
            **{name: getattr(row, name) for name in METADATA if name != "tags"}, tags=tuple(row.tags)
        ),
        created_at=row.created_at,
        updated_at=row.updated_at,
        deleted_at=row.deleted_at,
        collection_id=row.collection_id,
    )


def columns_of(metadata: Metadata) -> dict[str, Any]:
    """What a person may edit, in the form in which it is stored."""
    return asdict(metadata) | {"title": normalise(metadata.title), "tags": clean_tags(metadata.tags)}


def clean_tags(tags: Sequence[str]) -> list[str]:
    """Tags in one form: single spaces, no commas, no repetitions, at most 50 of 50 characters."""
    cleaned = (normalise(tag.replace(",", " "))[:50] for tag in tags)
    return [*dict.fromkeys(tag for tag in cleaned if tag)][:50]
