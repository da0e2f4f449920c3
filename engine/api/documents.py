"""Documents over REST: listing, reading, taking in, editing, deleting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, File, Path, Query, UploadFile
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from engine.api import cursors
from engine.api.idempotency import Claim, Idempotency, IdempotencyKey
from engine.api.responses import as_json
from engine.api.shapes import Body, Day, Id, Text, Word
from engine.api.uploads import fingerprint, keep
from engine.documents.jobs import FileProgress, Job
from engine.documents.model import Document, DocumentFilter, Metadata, Passage, Status
from engine.documents.queries import DocumentQuery, Sort, Statistics
from engine.engine import Engine
from engine.errors import NotFound

DocumentId = Annotated[Id, Path()]
Files = Annotated[list[UploadFile], File(min_length=1, max_length=1000)]
Words = Annotated[list[Word], Query(max_length=50)]


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """next_cursor: give it as `cursor` for the next page; null on the last."""

    documents: tuple[Document, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class PassageShape:
    """A passage of a document. start, end: character offsets into its whole text."""

    id: int
    position: int
    text: str
    heading: str
    context: str
    page: int | None
    last_page: int | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class DocumentShape(Document):
    """A document with passages in reading order. next_offset: of the next ones; null after the last."""

    passages: tuple[PassageShape, ...] = ()
    next_offset: int | None = None


@dataclass(frozen=True, slots=True)
class JobShape:
    """Files on their way in. One that fails has a message, and fails alone."""

    id: UUID
    created_at: datetime
    finished: bool
    files: tuple[FileProgress, ...]


class MetadataBody(Body):
    """What is not named stays as it is; null clears a date."""

    title: Text | None = Field(None, min_length=1, json_schema_extra={"pattern": r"[^\W_]"})
    status: Status | None = None
    tags: Annotated[tuple[Word, ...], Field(max_length=50)] | None = None
    published_on: Day | None = None
    effective_on: Day | None = None
    expires_on: Day | None = None
    superseded_by: Id | None = None

    def applied(self, metadata: Metadata) -> Metadata:
        """The metadata with what was given in its place."""
        clearable = ("published_on", "effective_on", "expires_on", "superseded_by")
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return replace(metadata, **{n: v for n, v in given.items() if v is not None or n in clearable})


def document_routes(engine: Callable[[], Engine], idempotency: Idempotency) -> APIRouter:
    """Routes under `/api/documents`, and `/api/jobs`."""
    router = APIRouter(prefix="/api", tags=["documents"])

    @router.get("/documents", response_model=DocumentPage, summary="List documents")
    async def listed(
        type: Words = [],  # noqa: B006  (FastAPI copies it)
        status: Annotated[list[Status], Query(max_length=10)] = [],  # noqa: B006
        language: Words = [],  # noqa: B006
        tag: Words = [],  # noqa: B006
        text: Annotated[Text, Query(max_length=200, description="Words of the title or file name.")] = "",
        collection: Annotated[list[Id], Query(max_length=100)] = [],  # noqa: B006
        published_from: Day | None = None,
        published_to: Day | None = None,
        sort: Sort = "updated",
        descending: bool = True,
        cursor: Annotated[str | None, Query(max_length=4000, pattern=r"^[A-Za-z0-9_-]+$")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> Response:
        """Within a filter any value may match; all given filters must hold."""
        wanted = DocumentFilter(
            types=tuple(type),
            statuses=tuple(status),
            languages=tuple(language),
            tags=tuple(tag),
            text=text,
            published_from=published_from,
            published_to=published_to,
            collection_ids=tuple(collection),
        )
        query = DocumentQuery(wanted, sort, descending, limit=limit)
        position = cursors.decode(query, cursor) if cursor else None
        found, following = await engine().documents.list_after(query, position)
        return as_json(DocumentPage(found, cursors.encode(query, following) if following else None))

    @router.get("/documents/stats/summary", response_model=Statistics, summary="Counts of all documents")
    async def summary() -> Response:
        return as_json(await engine().documents.statistics())

    @router.post("/documents", response_model=JobShape, status_code=202, summary="Take files in")
    async def upload(request: Request, files: Files, idempotency_key: IdempotencyKey = None) -> Response:
        """Returns a job at once; follow it at its Location. All files together up to MAX_UPLOAD_BYTES."""

        async def work(_: Claim | None) -> Response:
            opened = engine()
            async with keep(files) as kept:
                job = await opened.ingestion.submit(kept.uploads)
                kept.until(opened.ingestion.wait(job.id))
            return as_json(_job(job), 202, {"Location": f"/api/jobs/{job.id}"})

        content = await fingerprint(files) if idempotency_key else ""
        return await idempotency.once(request, idempotency_key, content, work)

    @router.get("/jobs/{job_id}", response_model=JobShape, summary="How far an upload is")
    async def job(job_id: UUID) -> Response:
        return as_json(_job(await engine().ingestion.job(job_id)))

    @router.get(
        "/documents/{document_id}", response_model=DocumentShape, summary="A document and its passages"
    )
    async def one(
        document_id: DocumentId,
        offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
        limit: Annotated[int, Query(ge=0, le=500)] = 50,
    ) -> Response:
        documents = engine().documents
        document = await documents.get(document_id)
        found = await documents.passages(document_id, offset, limit)
        end = offset + len(found)
        return as_json(
            DocumentShape(
                **{field.name: getattr(document, field.name) for field in fields(Document)},
                passages=tuple(map(_passage, found)),
                next_offset=end if end < document.passage_count else None,
            )
        )

    @router.patch("/documents/{document_id}", response_model=Document, summary="Edit a document's metadata")
    async def edit(document_id: DocumentId, body: MetadataBody) -> Response:
        opened = engine()
        was = (await opened.documents.get(document_id)).metadata
        return as_json(await opened.ingestion.edit(document_id, body.applied(was), was))

    @router.delete(
        "/documents/{document_id}",
        status_code=204,
        summary="Delete a document; it can be restored for a while",
    )
    async def delete(document_id: DocumentId) -> Response:
        if not await engine().documents.delete([document_id]):
            raise NotFound(f"There is no document {document_id}.", hint="It may have been deleted.")
        return Response(status_code=204)

    @router.post("/documents/{document_id}/restore", response_model=Document, summary="Undo a deletion")
    async def restore(document_id: DocumentId) -> Response:
        documents = engine().documents
        if not await documents.restore([document_id]):
            raise NotFound(
                f"There is no deleted document {document_id}.",
                hint="It may have been purged, or its file been taken in again.",
            )
        return as_json(await documents.get(document_id))

    return router


def _job(job: Job) -> JobShape:
    return JobShape(job.id, job.created_at, job.finished, job.files)


def _passage(passage: Passage) -> PassageShape:
    return PassageShape(**{field.name: getattr(passage, field.name) for field in fields(PassageShape)})
