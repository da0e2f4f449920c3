"""Asking: from a question to a streamed, cited answer that is kept as a turn."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from engine.access.audit import Audit, named
from engine.access.fair_queue import FairQueue
from engine.access.rates import QuestionRate
from engine.answering.admission import Admission, aside
from engine.answering.base import Answerer, AnswerRequest, Draft, Exchange, Quoted
from engine.answering.citations import resolve_citations
from engine.answering.evidence import answerability
from engine.answering.followups import resolve
from engine.answering.language_model import LanguageModel
from engine.answering.model import MODES, Answer, Answered, AnswerEvent, AnswerText, Mode, Receipt, Stage
from engine.answering.phrasings import Phrasings, phrase
from engine.answering.progress import AskingLimits, Progress
from engine.answering.prompts import no_answer
from engine.caching.layered import LayeredCache
from engine.chat.store import Also, SessionStore
from engine.documents.model import DocumentFilter
from engine.errors import BadInput, DossierError, LanguageModelUnavailable, Unavailable
from engine.observability.trace import Trace, span, stage
from engine.observability.traces import Traces
from engine.operations.choices import Choices
from engine.reranking.base import Reranker
from engine.reranking.tokens import PassageTokens
from engine.retrieval.lexical import one_question
from engine.retrieval.model import Candidate, Retrieval
from engine.retrieval.retriever import Retriever
from engine.text.languages import detect_language
from engine.text.normalisation import normalise_question


class Asker:
    """The use case behind the chat page, the CLI and the REST routes.

    answered: told of every answer with its retrieval, and the turn's id if there is one.
    """

    def __init__(
        self,
        retriever: Retriever,
        tokens: PassageTokens | None,
        sessions: SessionStore,
        rerankers: Mapping[str, Reranker | None],
        choices: Choices,
        quoting: Answerer,
        quotes: LayeredCache[Quoted],
        writing: Answerer | None,
        language_model: LanguageModel | None,
        limits: AskingLimits,
        models: Mapping[str, str],
        traces: Traces,
        audit: Audit,
        queue: FairQueue,
        rate: QuestionRate,
    ) -> None:
        self._audit = audit
        self._rate = rate
        self._queue = queue
        self.admission = Admission()
        self._retriever = retriever
        self._tokens = tokens
        self._sessions = sessions
        self._rerankers = rerankers
        self._choices = choices
        self._quoting = quoting
        self._quotes = quotes
        self._writing = writing
        self._language_model = language_model
        self._limits = limits
        self._models = models
        self._traces = traces
        self.answered: Callable[[Answer, Retrieval, int | None], None] = lambda *_: None

    def check(self, question: str) -> str:
        """The question in its normal form. Raises BadInput for one that cannot be asked."""
        longest = self._limits.question_characters
        if len(question) > longest:
            raise BadInput(
                f"The question has {len(question):,} characters; at most {longest:,} can be asked.",
                hint="Upload long text as a document and ask about it.",
            )
        question = normalise_question(question)
        if not any(character.isalnum() for character in question):
            raise BadInput("There is no question in this.", hint="Ask in words.")
        return question

    async def admit(self, question: str) -> str:
        """`check`, of one who has not asked too much already. Raises TooMany as well."""
        await self._rate.check()
        return self.check(question)

    async def reranker(self, name: str | None) -> Reranker | None:
        """The reranker of that name, or the default one. Raises BadInput for an unknown name."""
        name = name or await self._choices.reranker()
        if name not in self._rerankers:
            raise BadInput(
                f"There is no reranker “{name}”.", hint=f"Choose one of: {', '.join(self._rerankers)}."
            )
        return self._rerankers[name]

    async def other_phrasings(self, question: str, mode: str) -> Phrasings:
        """What a mode searches for beside the question. Raises BadInput where it cannot."""
        if mode not in MODES:
            raise BadInput(f"There is no mode “{mode}”.", hint=f"Choose one of: {', '.join(MODES)}.")
        if mode != "fast" and self._language_model is None:
            raise BadInput(
                f"The mode “{mode}” needs a language model.", hint="Set OPENAI_API_KEY or OPENAI_BASE_URL."
            )
        return await phrase(question, mode, self._language_model)

    async def confidence(self, question: str, candidates: Sequence[Candidate]) -> float:
        """Estimated probability that the best of these candidates answer the question."""
        request = await self._request(self.check(question), candidates, ())
        return await asyncio.to_thread(answerability, request)

    async def stream(
        self,
        question: str,
        *,
        session_id: UUID | None,
        filter: DocumentFilter,
        mode: Mode,
        reranker: str | None,
        replaces: int | None,
        asks_again: int | None,
        history: Sequence[Exchange] | None = None,
        also: Also | None = None,
    ) -> AsyncIterator[AnswerEvent]:
        """Events in order; the last is Answered. Closing the iterator stops the work.

        With a session the turn is kept, what had been written before a stop included. One that
        asks an earlier turn's question again reads it as that turn did: after the turns before it.
        """
        events: asyncio.Queue[AnswerEvent | None] = asyncio.Queue()
        # A task of its own: its trace, its cancellation, whoever consumes the events.
        emit = events.put_nowait
        work = asyncio.create_task(
            self._answer(
                question, session_id, filter, mode, reranker, replaces, asks_again, history, emit, also
            )
        )
        work.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while (event := await events.get()) is not None:
                yield event
            await work
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError, DossierError):
                await work

    async def _answer(
        self,
        question: str,
        session_id: UUID | None,
        filter: DocumentFilter,
        mode: Mode,
        reranker: str | None,
        replaces: int | None,
        asks_again: int | None,
        history: Sequence[Exchange] | None,
        emit: Callable[[AnswerEvent], None],
        also: Also | None,
    ) -> None:
        async with contextlib.AsyncExitStack() as place:
            trace = place.enter_context(self._traces.question(question, mode))
            place.enter_context(one_question())
            question = await self.admit(question)
            if mode not in MODES:
                raise BadInput(f"There is no mode “{mode}”.", hint=f"Choose one of: {', '.join(MODES)}.")
            chosen = await self.reranker(reranker)
            threshold = await self._choices.threshold()
            progress = Progress(question, question, threshold, asks_again, history)
            try:
                await place.enter_async_context(self.admission.place())
                draft = await self._draft(progress, session_id, filter, mode, chosen, replaces, emit)
            except asyncio.CancelledError:
                answer = self._finish(progress, _stopped(progress, self._sources(progress)), trace, mode)
                await asyncio.shield(asyncio.ensure_future(self._audited(answer, session_id)))
                if session_id is not None:
                    keeping = self._sessions.add_turn(
                        session_id, answer, mode=mode, filter=filter, replaces=replaces
                    )
                    await asyncio.shield(asyncio.ensure_future(keeping))
                raise
            answer = self._finish(progress, draft, trace, mode)
            trace.kind = answer.kind
            turn_id = None
            if session_id is not None:
                with span("keeping the turn"):
                    turn_id = await self._sessions.add_turn(
                        session_id, answer, mode=mode, filter=filter, replaces=replaces, also=also
                    )
            await self._audited(answer, session_id)
            emit(Answered(answer, turn_id))
            if progress.retrieval is not None:
                self.answered(answer, progress.retrieval, turn_id)

    async def _audited(self, answer: Answer, session_id: UUID | None) -> None:
        used = named(source.passage.document_id for source in answer.sources)
        where = f"session {session_id}" if session_id else "no session"
        await self._audit.record("ask", where, f"{answer.kind}; {used}")

    async def _draft(
        self,
        progress: Progress,
        session_id: UUID | None,
        filter: DocumentFilter,
        mode: Mode,
        reranker: Reranker | None,
        replaces: int | None,
        emit: Callable[[AnswerEvent], None],
    ) -> Draft:
        emit(Stage("understanding"))
        with stage("understanding"):
            history = await self._history(progress.earlier, session_id, progress.asks_again or replaces)
            progress.standalone = await resolve(progress.question, history, self._language_model)
            phrasings = await phrase(progress.standalone, mode, self._language_model)
        if phrasings.notice:
            progress.notices.append(phrasings.notice)
        also = phrasings.others
        progress.phrasings = (progress.standalone, *also)
        async with self._queue.turn():
            retrieval = await self._retriever.retrieve(
                progress.standalone,
                reranker=reranker,
                also=also,
                filter=filter,
                k=self._limits.k,
                entering=lambda name: emit(Stage(name)),
            )
        progress.retrieval = retrieval
        if retrieval.asked_as:
            progress.notices.append(f"Answered as the nearly equal question “{retrieval.asked_as}”.")
        if retrieval.notice:
            progress.notices.append(retrieval.notice)
        emit(Stage("reading"))
        if self._writing is None:
            return await self._quote(progress, retrieval, emit)
        with stage("reading"):
            request = await self._request(progress.standalone, retrieval.candidates, history)
            progress.confidence = await asyncio.to_thread(answerability, request)
        if not request.sources:
            return Draft(no_answer(request.language), "no_answer", ())
        emit(Stage("writing"))
        try:
            with stage("writing"), aside():
                return await self._write(self._writing, request, progress, emit)
        except LanguageModelUnavailable as error:
            progress.notices.append(f"{error.message} These are quotes from your documents instead.")
            return await self._quote(progress, retrieval, emit)

    async def _quote(
        self, progress: Progress, retrieval: Retrieval, emit: Callable[[AnswerEvent], None]
    ) -> Draft:
        """The quoted answer, cached: it follows from the retrieval alone."""

        async def compute() -> Quoted:
            with stage("reading"):
                request = await self._request(progress.standalone, retrieval.candidates, ())
                confidence = await asyncio.to_thread(answerability, request)
            whole = self._tokens is None or not request.sources or request.question_tokens is not None
            if not request.sources or confidence < progress.threshold:
                return Quoted(confidence, Draft(no_answer(request.language), "no_answer", ()), whole)
            with stage("writing"):
                draft = await self._write(self._quoting, request, progress, lambda _: None)
            return Quoted(confidence, draft, whole)

        async with self._queue.turn():
            key = (retrieval.key, self._limits.top_n, progress.threshold)
            quoted = await self._quotes.get(key, compute, new=retrieval.new)
        progress.confidence = quoted.confidence
        if quoted.draft.kind == "quotes":
            progress.answerer, progress.text = self._quoting.name, [quoted.draft.text]
            emit(Stage("writing"))
            emit(AnswerText(quoted.draft.text))
        return quoted.draft

    async def _history(
        self, told: Sequence[Exchange] | None, session_id: UUID | None, before: int | None
    ) -> tuple[Exchange, ...]:
        """What is told, or else the session's latest turns, or those before a turn."""
        latest = self._limits.history_turns
        if latest == 0:
            return ()
        if told is not None:
            return tuple(told[-latest:])
        if session_id is None:
            return ()
        return await self._sessions.exchanges(session_id, latest, before)

    async def _request(
        self, question: str, candidates: Sequence[Candidate], history: tuple[Exchange, ...]
    ) -> AnswerRequest:
        sources = tuple(candidates[: self._limits.top_n])
        request = AnswerRequest(
            question,
            detect_language(question),
            sources,
            history=history,
            embedder=self._models.get("embedder", ""),
        )
        if self._tokens is None or not sources:
            return request
        try:
            embedding = await self._retriever.embed_question(question)
            tokens = await self._tokens.load([c.passage for c in sources])
            if embedding.tokens is None:
                return request
            weights = await self._tokens.question_weights(question, embedding.tokens)
        except Unavailable:
            return request  # sentences are then chosen by their words
        return replace(
            request,
            question_tokens=embedding.tokens,
            source_tokens=tuple(tokens),
            token_weights=weights,
        )

    async def _write(
        self,
        answerer: Answerer,
        request: AnswerRequest,
        progress: Progress,
        emit: Callable[[AnswerEvent], None],
    ) -> Draft:
        progress.answerer = answerer.name
        async with contextlib.aclosing(answerer.stream(request)) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                if isinstance(piece, Draft):
                    return piece
                progress.text.append(piece)
                emit(AnswerText(piece))
        raise AssertionError("an answerer ends with a draft")

    def _sources(self, progress: Progress) -> tuple[Candidate, ...]:
        return progress.retrieval.candidates[: self._limits.top_n] if progress.retrieval else ()

    def _finish(self, progress: Progress, draft: Draft, trace: Trace, mode: Mode) -> Answer:
        sources = self._sources(progress)
        if draft.notice:
            progress.notices.append(draft.notice)
        receipt = Receipt(
            stages=trace.timings(),
            total_ms=round(trace.total_ms, 2),
            pool_wait_ms=round(trace.pool_wait_ms, 3),
            cache=dict(trace.cache),
            candidates_before=progress.retrieval.found if progress.retrieval else 0,
            candidates_after=len(sources),
            phrasings=progress.phrasings,
            models={
                **self._models,
                "reranker": progress.retrieval.reranker if progress.retrieval else "none",
                "answerer": progress.answerer or "none",
            },
            settings={
                "mode": mode,
                "default_retrieval_k": self._limits.k,
                "default_rerank_top_n": self._limits.top_n,
                "answer_threshold": progress.threshold,
            },
            prompt_tokens=trace.prompt_tokens,
            completion_tokens=trace.completion_tokens,
            cost_usd=None if trace.cost_usd is None else round(trace.cost_usd, 6),
        )
        return Answer(
            question=progress.question,
            standalone_question=progress.standalone,
            text=draft.text,
            kind=draft.kind,
            citations=draft.citations,
            sources=sources,
            confidence=round(progress.confidence, 4),
            receipt=receipt,
            unsupported=draft.unsupported,
            removed_citations=draft.removed_citations,
            complete=draft.complete,
            notice=" ".join(progress.notices),
            asks_again=progress.asks_again,
        )


def _stopped(progress: Progress, sources: tuple[Candidate, ...]) -> Draft:
    """What had been written, with the citations that it holds already."""
    resolved = resolve_citations("".join(progress.text), sources, progress.standalone)
    return Draft(
        resolved.text, "generated", resolved.citations, complete=False, notice="Stopped before the end."
    )
