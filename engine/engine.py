"""The composition root: `open_engine` builds everything with a lifetime and closes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from uuid import UUID

from engine.access.audit import named
from engine.access.principal import SYSTEM, Access, acting
from engine.answering.base import Exchange
from engine.answering.extractive import QuotingAnswerer
from engine.answering.model import Answer, Answered, AnswerEvent, Mode
from engine.answering.suggestions import suggest
from engine.asking import Asker
from engine.caching.caches import Caches, LayerReport
from engine.chat.model import Turn
from engine.chat.sources import ChangedSource, changed_sources
from engine.chat.store import Also, SessionStore
from engine.doctor import Check, Parts, diagnose
from engine.documents.index import DocumentIndex
from engine.documents.ingestion import Ingestion
from engine.documents.model import DocumentFilter, PageImage, Passage
from engine.documents.parsing.sandbox import draw_in_process
from engine.documents.store import DocumentStore
from engine.errors import BadInput
from engine.evaluation.comparison import Comparison
from engine.evaluation.opening import open_comparison
from engine.features import Feature, Features
from engine.housekeeping import keeping_house
from engine.inference.cores import one_thread_a_product
from engine.observability.history import WINDOWS, History
from engine.observability.metrics import Metrics
from engine.observability.series import Recorded
from engine.observability.traces import Traces
from engine.observability.traffic import Traffic
from engine.observability.watch import watching
from engine.opening import (
    Entrance,
    load_embedder,
    open_database,
    open_entrance,
    open_exporter,
    open_hot_copy,
    open_language_model,
    open_redis,
    open_rerankers,
    reloadable,
)
from engine.operations.choices import Choices
from engine.operations.drain import Drain
from engine.operations.operations import Operations
from engine.options import (
    asking_limits,
    cache_options,
    chosen_by_settings,
    parsing_limits,
    reranker_options,
)
from engine.reranking import RerankerParts
from engine.reranking.base import Scores
from engine.reranking.cascade import NAME as CASCADE
from engine.reranking.models import RerankerModels
from engine.reranking.tokens import PassageTokens
from engine.retrieval.embedders.base import Embedding
from engine.retrieval.model import Candidate
from engine.retrieval.pipelines import parse_pipeline
from engine.retrieval.retriever import Retriever
from engine.retrieval.vector import VectorIndex
from engine.settings import Settings, load_settings
from engine.storage.database import Database
from engine.storage.migrate import migrate
from engine.storage.pgbouncer import PgBouncerConsole

DRAWING_SECONDS = 20.0  # longest that a reader waits for a page's picture


class Engine:
    """Dossier without a face. Made by `open_engine`; every part is safe to use from many tasks.

    documents: listing, reading and editing. ingestion: taking files in. sessions: with their turns.
    database, vectors: the pool and the vector index, for measuring and checks.
    operations: what operators do, recorded. drain: whether anything new is taken.
    metrics, history, traces: what is counted, what was, and how the latest questions went.
    access: who acts, and what they may do. entrance: accounts, keys, sign-ins.
    reranker_models: loaded, waited for, loaded anew.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        documents: DocumentStore,
        ingestion: Ingestion,
        sessions: SessionStore,
        retriever: Retriever,
        asker: Asker,
        index: DocumentIndex,
        vectors: VectorIndex,
        language_model: str,
        features: Features,
        database: Database,
        caches: Caches,
        metrics: Metrics,
        traces: Traces,
        parts: Parts,
        entrance: Entrance,
        drain: Drain,
        operations: Operations,
        comparison: Comparison,
        reranker_models: RerankerModels,
    ) -> None:
        self.reranker_models = reranker_models
        self.access = entrance.access
        self.entrance = entrance
        self._parts = parts
        self.operations = operations
        self._comparison = comparison
        self.caches = caches
        self.metrics = metrics
        self.traces = traces
        self.drain = drain
        self.settings = settings
        self.database = database
        self.documents = documents
        self.ingestion = ingestion
        self.sessions = sessions
        self.language_model = language_model
        self._retriever = retriever
        self._asker = asker
        self._index = index
        self.vectors = vectors
        self._features = features
        self.history: History
        self._drawing = asyncio.Semaphore(settings.ingest_concurrency)
        self._drawing_limits = replace(parsing_limits(settings), timeout_seconds=DRAWING_SECONDS)

    def stream(
        self,
        question: str,
        *,
        session_id: UUID | None = None,
        filter: DocumentFilter = DocumentFilter(),
        mode: Mode = "fast",
        reranker: str | None = None,
        replaces: int | None = None,
        asks_again: int | None = None,
        history: Sequence[Exchange] | None = None,
        also: Also | None = None,
    ) -> AsyncIterator[AnswerEvent]:
        """Ask, and follow the answer as it is written; the last event is Answered.

        replaces: id of the session's turn that this question takes the place of.
        asks_again: id of the session's turn whose question this is; the new one knows it.
        history: what was said before, oldest first; None where the session tells it, if there is one.
        also: told the new turn's id in the transaction that keeps it.
        Closing the iterator stops the work; with a session, what was written is kept.
        Raises BadInput, NotFound (the session), TooMany, DatabaseUnavailable; Draining.
        """
        self.drain.check()
        return self._asker.stream(
            question,
            session_id=session_id,
            filter=filter,
            mode=mode,
            reranker=reranker,
            replaces=replaces,
            asks_again=asks_again,
            history=history,
            also=also,
        )

    async def ask(
        self,
        question: str,
        *,
        session_id: UUID | None = None,
        filter: DocumentFilter = DocumentFilter(),
        mode: Mode = "fast",
        reranker: str | None = None,
    ) -> Answer:
        """Ask, and wait for the whole answer. Raises as `stream` does."""
        events = self.stream(question, session_id=session_id, filter=filter, mode=mode, reranker=reranker)
        return [event.answer async for event in events if isinstance(event, Answered)][-1]

    async def search(
        self,
        question: str,
        *,
        k: int = 10,
        filter: DocumentFilter = DocumentFilter(),
        pipeline: str | None = None,
    ) -> list[Candidate]:
        """The best `k` passages. pipeline: see `parse_pipeline`. Raises BadInput for an unknown one."""
        question = await self._asker.admit(question)
        search, name, mode = parse_pipeline(pipeline)
        reranker = await self._asker.reranker(name or None) if pipeline is None or name else None
        also = (await self._asker.other_phrasings(question, mode)).others if mode else ()
        wanted = max(k, self.settings.default_retrieval_k)
        retrieval = await self._retriever.retrieve(
            question, reranker=reranker, also=also, filter=filter, k=wanted, search=search
        )
        found = list(retrieval.candidates[:k])
        await self.entrance.audit.record("search", outcome=named(c.passage.document_id for c in found))
        return found

    async def rerank(
        self, question: str, passages: Sequence[Passage], *, reranker: str | None = None
    ) -> Scores:
        """One score a passage, in their order. Raises BadInput; ModelUnavailable where there can be none."""
        question = await self._asker.admit(question)
        chosen = await self._asker.reranker(reranker)
        if chosen is None:
            raise BadInput("That reranker scores nothing.", hint="Name another one.")
        return await chosen.score(question, passages)

    async def exposition(self) -> bytes:
        """What is counted, as Prometheus reads it; for operators. Raises NotSignedIn, NotAllowed."""
        self.access.require("operate")
        return await self.metrics.exposition()

    async def changed_sources(self, turns: Sequence[Turn]) -> dict[int, tuple[ChangedSource, ...]]:
        """By turn id, cited documents that have since changed in the cited place, or are gone."""
        return await changed_sources(self.documents, turns)

    async def embed_question(self, question: str) -> Embedding:
        """The question's embedding, cached. Raises ModelUnavailable or Unavailable."""
        return await self._retriever.embed_question(question)

    async def suggestions(self, limit: int = 4) -> list[str]:
        """Questions that the documents themselves suggest; none for an empty corpus."""
        return suggest(await self.documents.headings(limit=60), limit)

    async def passage_context(self, passage_id: int, around: int = 1) -> list[Passage]:
        """A passage between its neighbours, in reading order; empty if it is gone."""
        return list(await self.documents.neighbours(passage_id, around))

    async def page_image(self, passage: Passage, quote: str, scale: float = 1.5) -> tuple[int, PageImage]:
        """Number and picture of a PDF's page, see `render_quoted`. Raises NotFound, UnreadableFile."""
        content = await self.documents.file(passage.document_id)
        first = passage.page or 1
        pages = (first, passage.last_page or first)
        async with self._drawing:
            return await draw_in_process(content, pages, quote, scale, self._drawing_limits)

    async def purge(self) -> int:
        """Remove for good what was deleted longer ago than the setting allows; counts documents."""
        await self.entrance.prune(self.settings.audit_retention_days)  # an administrator's, so all of it is
        await self.sessions.purge(self.settings.delete_grace_seconds)
        await self._comparison.sets.purge(self.settings.delete_grace_seconds)
        await self.caches.prune()
        return await self._index.purge(self.settings.delete_grace_seconds)

    @property
    def comparison(self) -> Comparison:
        """Rerankers side by side, over question sets and on real questions. Raises NotAllowed."""
        self.access.require("operate")
        return self._comparison

    async def cache_report(self) -> list[LayerReport]:
        """What each cache layer counted and holds. Raises NotAllowed."""
        self.access.require("operate")
        return await self.caches.report()

    async def measured(self, window: str) -> Recorded:
        """What all processes measured: see WINDOWS for how far back, and History. Raises NotAllowed."""
        self.access.require("operate")
        return await self.history.read(WINDOWS[window])

    async def diagnose(self) -> list[Check]:
        """Every part tried, with what to do; takes some seconds. Raises NotAllowed."""
        self.access.require("operate")
        return await diagnose(self._parts)

    async def features(self) -> list[Feature]:
        """What was asked for and what is running. Raises NotAllowed."""
        self.access.require("operate")
        return await self._features.observe()


@asynccontextmanager
async def open_engine(settings: Settings | None = None) -> AsyncIterator[Engine]:
    """Build the engine from settings (by default the environment's), and close it in the end.

    Raises BadInput for wrong settings, DatabaseUnavailable, ModelUnavailable.
    """
    settings = settings or load_settings()
    one_thread_a_product()
    async with AsyncExitStack() as stack:
        home = settings.dossier_home.expanduser()
        metrics = Metrics()
        access = Access(settings.access_control)
        traffic = Traffic()
        traces = Traces([metrics, traffic, *open_exporter(stack, settings)], access)
        loading = load_embedder(stack, settings, home)  # while the database may still be starting
        database = await open_database(stack, settings, waited=metrics.pool_wait.observe)
        await migrate(database)
        redis = await open_redis(stack, settings)
        embedder = await loading
        vectors = VectorIndex(embedder.name, embedder.dimension)
        await vectors.prepare(database)
        documents = DocumentStore(database, access)
        entrance = open_entrance(settings, database, access)
        index = DocumentIndex(database, vectors, access)
        caches = Caches(cache_options(settings), database, redis)
        stack.push_async_callback(caches.aclose)
        retriever = Retriever(database, documents, vectors, embedder, caches, access)
        tokens = PassageTokens(database, vectors, embedder, access) if embedder.token_dimension else None
        parts = RerankerParts(retriever.embed_question, tokens, reranker_options(settings, home))
        rerankers = open_rerankers(stack, parts, metrics)
        sessions = SessionStore(database, open_hot_copy(stack, settings, redis), access)
        drain = Drain()
        ingestion = Ingestion(
            index,
            documents,
            embedder,
            limits=parsing_limits(settings),
            concurrency=settings.ingest_concurrency,
            admit=drain.check,
            access=access,
        )
        stack.push_async_callback(ingestion.aclose)
        pgbouncer = PgBouncerConsole(settings.pgbouncer_url) if settings.use_pgbouncer else None
        language_model, writing = open_language_model(stack, settings)
        writer = settings.openai_model if language_model else ""
        choices = Choices(database, rerankers, *chosen_by_settings(settings))
        models = RerankerModels(rerankers, {CASCADE: settings.cascade_strong})
        models.load(await choices.reranker())
        asker = Asker(
            retriever,
            tokens,
            sessions,
            rerankers,
            choices,
            QuotingAnswerer(),
            caches.quotes,
            writing,
            language_model,
            asking_limits(settings),
            {"embedder": embedder.name, "language_model": writer or "none"},
            traces,
            entrance.audit,
            entrance.queue,
            entrance.rate,
        )
        metrics.waiting.set_function(lambda: asker.admission.waiting)
        await asker.reranker(settings.default_reranker_type)  # an unknown one is an error now
        engine = Engine(
            settings,
            documents=documents,
            ingestion=ingestion,
            sessions=sessions,
            retriever=retriever,
            asker=asker,
            index=index,
            vectors=vectors,
            language_model=writer,
            database=database,
            caches=caches,
            metrics=metrics,
            traces=traces,
            drain=drain,
            parts=Parts(settings, database, embedder, rerankers, redis, pgbouncer, running=True),
            entrance=entrance,
            features=Features(
                settings,
                database,
                vectors,
                rerankers,
                caches,
                redis,
                choices,
                language_model=language_model is not None,
                token_vectors=embedder.token_dimension > 0,
            ),
            operations=Operations(
                database, caches, drain, choices, partial(reloadable, embedder, rerankers, models), access
            ),
            reranker_models=models,
            comparison=open_comparison(
                stack, settings, database, retriever, rerankers, ingestion, asker, traffic, access
            ),
        )
        engine.history = await stack.enter_async_context(
            watching(
                metrics,
                database=database,
                caches=caches,
                ingestion=ingestion,
                rerankers=rerankers,
                pgbouncer=pgbouncer,
                redis=redis,
            )
        )
        with acting(SYSTEM):
            await stack.enter_async_context(keeping_house(engine))
        yield engine
