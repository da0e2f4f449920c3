"""Ingestion: files in, searchable documents out, with progress for each file and stage."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

from engine.access.collections import DEFAULT
from engine.access.principal import OPEN, Access
from engine.documents.index import DocumentIndex, IndexedPassage, PreparedDocument
from engine.documents.jobs import FileProgress, FileStage, Job, Upload
from engine.documents.metadata import guess_metadata, opening
from engine.documents.model import Document, Metadata, ParsedDocument, PassageDraft
from engine.documents.parsing import ParsingLimits, check_name, format_of
from engine.documents.parsing.sandbox import parse_in_process
from engine.documents.passages import split_passages
from engine.documents.preface import preface
from engine.documents.queries import OutlineEntry
from engine.documents.store import DocumentStore
from engine.errors import DossierError, NotFound, UnreadableFile
from engine.reranking.packed_tokens import encode_tokens
from engine.reranking.tokens import token_vectors
from engine.retrieval.embedders.base import Embedder, Embedding
from engine.text.analysis import analyse
from engine.text.languages import detect_language

log = logging.getLogger(__name__)

KEPT_JOBS = 50
BATCH = 32  # passages embedded between two looks at progress and cancellation

Report = Callable[[FileStage, int, int], None]
SplitDocument = tuple[str, str, Sequence[PassageDraft]]  # file name, title, passages


@dataclass(slots=True)
class _Running:
    job_id: UUID
    owner: str
    created_at: datetime
    files: list[FileProgress]
    task: asyncio.Task[None] | None = None

    def snapshot(self) -> Job:
        return Job(self.job_id, tuple(self.files), self.created_at)


class Ingestion:
    """Takes batches of files; a bad file fails alone, the rest of its batch goes on.

    A document appears, or changes, in one transaction at the very end: whatever stops the
    work before leaves nothing behind.

    admit: raises where no new files are taken.
    """

    def __init__(
        self,
        index: DocumentIndex,
        store: DocumentStore,
        embedder: Embedder,
        *,
        limits: ParsingLimits,
        concurrency: int,
        admit: Callable[[], None] = lambda: None,
        access: Access = OPEN,
    ) -> None:
        self._access = access
        self._index = index
        self._store = store
        self._embedder = embedder
        self._limits = limits
        self._admit = admit
        self._slots = asyncio.Semaphore(concurrency)
        self._jobs: dict[UUID, _Running] = {}

    async def submit(self, files: Sequence[Upload], *, collection_id: int = DEFAULT) -> Job:
        """Start ingesting; returns at once. Follow it with `job`, or `wait` for its end.

        Raises NotAllowed, NotFound (the collection), and what `admit` raises.
        """
        self._admit()
        self._access.require("edit")
        if self._access.on or collection_id != DEFAULT:
            await self._index.check_collection(collection_id)

        def work(position: int, report: Report) -> Awaitable[FileProgress]:
            return self._ingest(files[position], report, collection_id)

        return self._start([file.file_name for file in files], work)

    async def reindex(self, document_ids: Sequence[int]) -> Job:
        """Read, split and embed stored documents anew, from the files they were made of."""
        self._access.require("edit")
        names = [(await self._store.get(document_id)).file_name for document_id in document_ids]

        def work(position: int, report: Report) -> Awaitable[FileProgress]:
            return self._index_anew(document_ids[position], report)

        return self._start(names, work)

    async def behind(self) -> list[int]:
        """Documents that the indexes do not hold as they are now: of another embedder, or renamed."""
        return await self._index.behind()

    async def job(self, job_id: UUID) -> Job:
        """How far a job is. Raises NotFound; the latest 50 are kept."""
        return self._find(job_id).snapshot()

    async def jobs(self) -> list[Job]:
        """One's own jobs that are kept, the latest first."""
        self._access.require("read")
        return [running.snapshot() for running in reversed(self._jobs.values()) if self._own(running)]

    def snapshots(self) -> list[Job]:
        """Everybody's, to be counted."""
        return [running.snapshot() for running in reversed(self._jobs.values())]

    async def cancel(self, job_id: UUID) -> None:
        """Stop a job; files already stored stay, the others leave nothing."""
        running = self._find(job_id)
        if running.task is not None:
            running.task.cancel()
            await asyncio.wait([running.task])

    async def wait(self, job_id: UUID) -> Job:
        """The job once it has finished."""
        running = self._find(job_id)
        if running.task is not None:
            await asyncio.wait([running.task])
        return running.snapshot()

    async def aclose(self) -> None:
        """Cancel what runs."""
        tasks = [running.task for running in self._jobs.values() if running.task and not running.task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _find(self, job_id: UUID) -> _Running:
        if job_id not in self._jobs or not self._own(self._jobs[job_id]):
            raise NotFound(
                "There is no such upload any more.", hint="The documents list shows what was stored."
            )
        return self._jobs[job_id]

    def _own(self, running: _Running) -> bool:
        principal = self._access.restricted()
        return principal is None or running.owner == principal.id

    def _start(self, names: list[str], work: Callable[[int, Report], Awaitable[FileProgress]]) -> Job:
        owner = self._access.principal().id
        running = _Running(uuid4(), owner, datetime.now(UTC), [FileProgress(name) for name in names])
        self._jobs[running.job_id] = running
        for old in [job.job_id for job in self._jobs.values() if job.snapshot().finished][:-KEPT_JOBS]:
            del self._jobs[old]
        running.task = asyncio.create_task(self._run(running, work), name=f"ingestion {running.job_id}")
        return running.snapshot()

    async def _run(self, running: _Running, work: Callable[[int, Report], Awaitable[FileProgress]]) -> None:
        async def one(position: int) -> None:
            def report(stage: FileStage, done: int, total: int) -> None:
                running.files[position] = replace(
                    running.files[position], stage=stage, done=done, total=total
                )

            try:
                async with self._slots:
                    running.files[position] = await work(position, report)
            except asyncio.CancelledError:
                running.files[position] = replace(running.files[position], stage="cancelled")
                raise
            except DossierError as error:
                running.files[position] = replace(
                    running.files[position], stage="failed", message=error.message, hint=error.hint
                )
            except Exception:
                log.exception("Ingesting %r failed", running.files[position].file_name)
                running.files[position] = replace(
                    running.files[position],
                    stage="failed",
                    message=f"{running.files[position].file_name}: something went wrong while reading it.",
                    hint="The log has the details.",
                )

        tasks = [asyncio.create_task(one(position)) for position in range(len(running.files))]
        try:
            await asyncio.gather(*tasks)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)
            running.files = [
                file
                if file.stage in ("done", "unchanged", "replaced", "failed")
                else replace(file, stage="cancelled")
                for file in running.files
            ]

    async def _ingest(self, upload: Upload, report: Report, collection_id: int) -> FileProgress:
        file_name = check_name(upload.file_name)
        report("parsing", 0, 0)
        content = await self._read(upload.content, file_name)
        content_hash = await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())
        known = await self._index.find_unchanged(file_name, content_hash, collection_id)
        if known is not None:
            document = await self._store.get(known)
            same_name = document.file_name == file_name
            message = "" if same_name else f"Its content is already here as “{document.file_name}”."
            return FileProgress(file_name, "unchanged", message=message, document_id=known)
        return await self._take_in(file_name, content, content_hash, collection_id, report)

    async def _index_anew(self, document_id: int, report: Report) -> FileProgress:
        document = await self._store.get(document_id)
        report("parsing", 0, 0)
        content = await self._store.file(document_id)
        return await self._take_in(
            document.file_name,
            content,
            document.content_hash,
            document.collection_id,
            report,
            again=document_id,
        )

    async def _index_title(self, document_id: int, report: Report) -> FileProgress:
        document = await self._store.get(document_id)
        if not await self._index.title_behind(document_id):  # indexed together with an edit before
            return FileProgress(document.file_name, "unchanged", document_id=document_id)
        return await self._index_anew(document_id, report)

    async def _take_in(
        self,
        file_name: str,
        content: bytes,
        content_hash: str,
        collection_id: int,
        report: Report,
        *,
        again: int | None = None,
    ) -> FileProgress:
        """Read, embed and store it; again: see `DocumentIndex.store`."""
        parsed = await parse_in_process(content, file_name, self._limits)
        drafts = await asyncio.to_thread(split_passages, parsed)
        if not drafts:
            raise UnreadableFile(file_name, "empty", "it holds no text.")
        metadata = await asyncio.to_thread(guess_metadata, parsed, file_name)
        outline = await asyncio.to_thread(outline_of, parsed, drafts)
        title = await self._index.edited_title(file_name, collection_id) or metadata.title
        passages = await self._embed(drafts, title, metadata.language, report)
        report("storing", len(drafts), len(drafts))
        prepared = PreparedDocument(
            file_name=file_name,
            type=format_of(file_name),
            content=content,
            content_hash=content_hash,
            page_count=parsed.page_count,
            metadata=metadata,
            passages=passages,
            indexed_title=title,
            outline=outline,
            collection_id=collection_id,
        )
        stored = await self._index.store(prepared, again=again)
        if stored.title_behind:
            self._start_title(stored.document_id, file_name)
        return FileProgress(
            file_name, stored.outcome, len(drafts), len(drafts), document_id=stored.document_id
        )

    async def edit(self, document_id: int, metadata: Metadata, was: Metadata | None = None) -> Document:
        """Set what a person may edit; a new title is indexed in the background.

        was: see `DocumentStore.update`. Raises NotFound, or BadInput that names the field.
        """
        before = await self._store.get(document_id)
        after = await self._store.update(document_id, metadata, was)
        if after.metadata.title != before.metadata.title:
            self._start_title(document_id, after.file_name)
        return after

    def _start_title(self, document_id: int, file_name: str) -> None:
        self._start([file_name], lambda _, report: self._index_title(document_id, report))

    async def ingest_passages(self, documents: Sequence[SplitDocument], tags: Sequence[str] = ()) -> None:
        """Store documents that are split already, under these tags: for test collections.

        One without a title is called by its first words. They are embedded together, which is faster than
        one by one, and stored one by one. An operator's.
        """
        self._access.require("operate")
        titles = [title or (opening(own[0].text) if own else "") or name for name, title, own in documents]
        texts = ["\n".join(draft.text for draft in own) for _, _, own in documents]
        languages = [await asyncio.to_thread(detect_language, text) for text in texts]
        embedded = await asyncio.gather(
            *(
                self._embed(own, title, language, lambda stage, done, total: None)
                for (_, _, own), title, language in zip(documents, titles, languages, strict=True)
            )
        )
        stored = zip(documents, titles, texts, languages, embedded, strict=True)
        for (name, _, _), title, text, language, passages in stored:
            content = text.encode()
            await self._index.store(
                PreparedDocument(
                    file_name=name,
                    type="txt",
                    content=content,
                    content_hash=hashlib.sha256(content).hexdigest(),
                    page_count=None,
                    metadata=Metadata(title=title, language=language, tags=tuple(tags)),
                    passages=passages,
                )
            )

    async def _embed(
        self, drafts: Sequence[PassageDraft], title: str, language: str, report: Report
    ) -> list[IndexedPassage]:
        passages: list[IndexedPassage] = []
        for start in range(0, len(drafts), BATCH):
            report("embedding", start, len(drafts))
            batch = drafts[start : start + BATCH]
            embeddings = await self._embedder.embed_passages([_with_preface(draft) for draft in batch])
            tokens = await self._sentence_tokens(batch, title)
            passages += await asyncio.to_thread(_index_batch, batch, title, embeddings, tokens, language)
        return passages

    async def _sentence_tokens(self, drafts: Sequence[PassageDraft], title: str) -> list[bytes | None]:
        """Each passage's token vectors, packed; its sentences are embedded apart."""
        if not self._embedder.token_dimension:
            return [None] * len(drafts)
        texts = [(preface(draft.text, draft.heading, draft.context, title), draft.text) for draft in drafts]
        vectors = await token_vectors(texts, self._embedder)
        return await asyncio.to_thread(lambda: [encode_tokens(tokens) for tokens in vectors])

    async def _read(self, content: bytes | Path, file_name: str) -> bytes:
        largest = self._limits.max_file_bytes
        size = (
            len(content) if isinstance(content, bytes) else await asyncio.to_thread(_size, content, file_name)
        )
        if size > largest:
            raise UnreadableFile(
                file_name,
                "too-large",
                f"it has {size / 1e6:,.0f} MB; at most {largest / 1e6:,.0f} MB are allowed.",
                hint="Split it, or raise MAX_UPLOAD_BYTES.",
            )
        return content if isinstance(content, bytes) else await asyncio.to_thread(content.read_bytes)


def _size(path: Path, file_name: str) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise UnreadableFile(file_name, "damaged", f"it cannot be opened ({error.strerror}).") from error


def _with_preface(draft: PassageDraft, title: str = "") -> str:
    return "\n".join(
        part for part in (preface(draft.text, draft.heading, draft.context, title), draft.text) if part
    )


def outline_of(parsed: ParsedDocument, drafts: Sequence[PassageDraft]) -> list[OutlineEntry]:
    """Every heading with the passage in which it stands."""
    outline: list[OutlineEntry] = []
    position = 0
    for block in parsed.blocks:
        if block.kind != "heading":
            continue
        later = (p for p in range(position, len(drafts)) if block.text in drafts[p].text)
        position = next(later, position)
        outline.append(OutlineEntry(block.text, block.level, position, block.page))
    return outline


def _index_batch(
    drafts: Sequence[PassageDraft],
    title: str,
    embeddings: Sequence[Embedding],
    tokens: Sequence[bytes | None],
    language: str,
) -> list[IndexedPassage]:
    batch: list[IndexedPassage] = []
    for draft, embedding, packed in zip(drafts, embeddings, tokens, strict=True):
        own = detect_language(draft.text)
        terms = analyse(_with_preface(draft, title), language if own == "und" else own)
        batch.append(IndexedPassage(draft, embedding.vector, packed, terms))
    return batch
