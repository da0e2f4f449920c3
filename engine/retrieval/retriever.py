"""The retriever: lexical and vector search, fused, then reranked."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Literal, get_args

from cachetools import LRUCache
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.access.principal import OPEN, Access
from engine.caching.caches import Caches
from engine.documents.model import DocumentFilter
from engine.documents.store import DocumentStore
from engine.errors import Unavailable
from engine.observability.trace import span, stage
from engine.reranking.base import Reranker, Scores
from engine.reranking.combination import added, scaled
from engine.reranking.near_ties import read_again
from engine.retrieval import lexical
from engine.retrieval.embedders.base import Embedder, Embedding
from engine.retrieval.fusion import fuse
from engine.retrieval.model import Candidate, Retrieval
from engine.retrieval.neutral import LanguageNeutral, Vector
from engine.retrieval.scope import Scope, languages_of, passage_languages, scope_of
from engine.retrieval.vector import VectorIndex
from engine.storage.database import Database
from engine.storage.joined import Joined
from engine.text.analysis import QuestionTerms, analyse_question
from engine.text.languages import detect_language, is_undiacritic_vietnamese
from engine.text.normalisation import normalise_question

Search = Literal["bm25", "dense", "hybrid"]
SEARCHES: tuple[Search, ...] = get_args(Search)

# A document that is no longer, or not yet, in force has to be this much better to come first.
NOT_IN_FORCE = 0.85
QUEUE_SECONDS = 20.0  # longest wait for a search to begin
# What was found and is gone was indexed anew between two statements, under other ids, or deleted.
SEARCHES_AT_MOST = 3


class Retriever:
    """Finds the passages that may answer a question."""

    def __init__(
        self,
        database: Database,
        documents: DocumentStore,
        vectors: VectorIndex,
        embedder: Embedder,
        caches: Caches,
        access: Access = OPEN,
    ) -> None:
        self._access = access
        self._database = database
        self._documents = documents
        self._vectors = vectors
        self._embedder = embedder
        self._embeddings = caches.embeddings
        self._results = caches.results
        self._semantic = caches.semantic
        self._scopes = Joined(self._read_scope)
        self._neutral = LanguageNeutral(embedder)
        self._languages: LRUCache[tuple[int, tuple[int, ...] | None], frozenset[str]] = LRUCache(64)
        self._turns = asyncio.Semaphore(max(1, database.pool_status().size // 2))

    async def _scope(self, filter: DocumentFilter) -> Scope:
        """What is to be seen now. Those who may see everything share a read."""
        if self._access.restricted() is None:
            return await self._scopes(filter)
        return await self._read_scope(filter)

    async def _read_scope(self, filter: DocumentFilter) -> Scope:
        return await scope_of(self._database, filter, self._access)

    async def embed_question(self, question: str) -> Embedding:
        """The question's embedding, cached."""
        with stage("embedding"):
            key = (self._embedder.name, question.casefold())
            return await self._embeddings.get(key, lambda: self._embed(question))

    async def _embed(self, question: str) -> Embedding:
        with span("model", embedder=self._embedder.name, characters=len(question)):
            return await self._embedder.embed_query(question)

    async def retrieve(
        self,
        question: str,
        *,
        reranker: Reranker | None,
        also: Sequence[str] = (),
        filter: DocumentFilter = DocumentFilter(),
        k: int = 50,
        search: Search = "hybrid",
        entering: Callable[[str], None] = lambda _: None,
    ) -> Retrieval:
        """Search for the question and its other phrasings (`also`); rerank for the question.

        k: candidates taken from each search. entering: told the stage that begins.
        Raises DatabaseUnavailable; without the embedder, the lexical search serves alone.
        """
        question = normalise_question(question)
        phrasings = tuple(dict.fromkeys((question, *map(normalise_question, also))))
        entering("searching")
        scope = await self._scope(filter)
        behind = (
            filter,
            k,
            search,
            self._embedder.name,
            reranker and reranker.name,
            scope.generation,
            scope.collections,
        )
        # What others asked is theirs: only one's own questions may stand for another.
        earlier = (
            await self._nearly_asked(question, (*behind, scope.asker)) if phrasings == (question,) else None
        )
        if earlier is not None:
            phrasings = (earlier,)
        key = ([phrasing.casefold() for phrasing in phrasings], *behind)
        found: list[Retrieval] = []

        async def find() -> Retrieval:
            found.append(await self._retrieve(phrasings, scope, reranker, k, search, entering))
            return found[0]

        with lexical.one_question():
            retrieval = await self._results.get(key, find)
        return replace(retrieval, key=self._results.digest(key), asked_as=earlier or "", new=bool(found))

    async def _nearly_asked(self, question: str, behind: Sequence[object]) -> str | None:
        """An earlier question, asked in the same circumstances, that can stand for this one."""
        if self._semantic is None:
            return None
        try:
            embedding = await self.embed_question(question)
        except Unavailable:
            return None
        return self._semantic.find(self._results.digest(behind), question, embedding)

    async def _retrieve(
        self,
        phrasings: tuple[str, ...],
        scope: Scope,
        reranker: Reranker | None,
        k: int,
        search: Search,
        entering: Callable[[str], None],
    ) -> Retrieval:
        found = await self._find(phrasings, scope, k, search, max(k, reranker.depth if reranker else 0))
        candidates, notice, served_by = list(found.candidates), found.notice, "none"
        if reranker is not None and candidates:
            entering("reranking")
            with stage("reranking"):
                try:
                    reranked = await rerank(phrasings[0], candidates, reranker)
                    candidates, served_by = list(reranked.candidates), reranked.scores.served_by
                    notice = " ".join(filter(None, (notice, reranked.scores.notice)))
                except Unavailable as error:
                    notice = f"Not reranked: {error.message}"
        if search == "hybrid":
            candidates = in_force_first(candidates)
        candidates.sort(key=lambda c: -c.score)
        return Retrieval(tuple(candidates), found.found, notice, reranker=served_by)

    async def candidates(
        self, question: str, *, filter: DocumentFilter = DocumentFilter(), k: int = 50, depth: int = 0
    ) -> Retrieval:
        """What the searches find, fused and not reranked; the best max(k, depth). Never cached.

        Raises DatabaseUnavailable; without the embedder, the lexical search serves alone.
        """
        scope = await self._scope(filter)
        return await self._find((normalise_question(question),), scope, k, "hybrid", max(k, depth))

    async def _find(
        self, phrasings: tuple[str, ...], scope: Scope, k: int, search: Search, kept: int
    ) -> Retrieval:
        """The best `kept` by the searches alone."""
        notice = ""
        embeddings: list[Embedding | None] = [None] * len(phrasings)
        if search != "bm25":
            try:
                embeddings = list(await asyncio.gather(*map(self.embed_question, phrasings)))
            except Unavailable as error:
                if search == "dense":
                    raise
                notice = f"Searched by words only: {error.message}"
        directions = [
            await self._direction(phrasing, embedding, scope)
            for phrasing, embedding in zip(phrasings, embeddings, strict=True)
        ]
        notice = notice or next((direction.notice for direction in directions if direction.notice), "")
        async with self._turn(), self._database.read() as db:
            with stage("search"):
                for _ in range(SEARCHES_AT_MOST):
                    found = [
                        await self._search(db, phrasing, direction, scope, k, search)
                        for phrasing, direction in zip(phrasings, directions, strict=True)
                    ]
                    scores = _merge(found)
                    best = sorted(scores, key=lambda i: -scores[i][2])[:kept]
                    passages = await self._documents.load_passages(db, best)
                    if len(passages) == len(best):
                        break
        candidates = (
            Candidate(passages[i], lexical=a, dense=b, fused=c, reranked=None, score=c)
            for i, (a, b, c) in ((i, scores[i]) for i in best)
            if i in passages
        )
        return Retrieval(tuple(candidates), len(scores), notice)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Half the pool searches, the first to ask first; the rest serves what takes a moment.

        Without it, a crowd of new questions keeps those from a connection that the cache answers.
        """
        try:
            async with asyncio.timeout(QUEUE_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            raise Unavailable("Too many questions at once.", hint="Try again in a moment.") from None
        try:
            yield
        finally:
            self._turns.release()

    async def _search(
        self,
        db: AsyncConnection,
        question: str,
        direction: Direction,
        scope: Scope,
        k: int,
        search: Search,
    ) -> dict[int, tuple[float | None, float | None, float]]:
        """One phrasing: passage id → lexical, dense and fused score."""
        asked = analyse_question(question) if search != "dense" else QuestionTerms((), False)
        terms = await lexical.weigh(db, asked, scope)
        vector = direction.vector
        with span("lexical search", terms=len(asked.terms)) as traced:
            by_words = await lexical.search(db, terms, scope, k)
            traced.set(found=len(by_words))
        by_vector: dict[int, float] = {}
        if vector is not None:
            with span("vector search") as traced:
                by_vector = await self._vectors.search(db, vector, scope, k)
                traced.set(found=len(by_vector))
        if search == "bm25":
            return {i: (score, None, score) for i, score in by_words.items()}
        if search == "dense":
            return {i: (None, score, score) for i, score in by_vector.items()}
        # What one search found, the other can score exactly: no guessing at missing scores.
        only_vector = [i for i in by_vector if i not in by_words]
        only_words = [i for i in by_words if i not in by_vector]
        by_words |= await lexical.scores(db, terms, scope, only_vector)
        if vector is not None:
            by_vector |= await self._vectors.similarities(db, vector, only_words)
        languages = await passage_languages(db, by_vector) if direction.crossing else None
        fused = fuse(by_words, by_vector, worth=terms.worth, undiacritic=asked.fold, languages=languages)
        return {i: (by_words.get(i), by_vector.get(i), score) for i, score in fused.items()}

    async def _direction(self, question: str, embedding: Embedding | None, scope: Scope) -> Direction:
        """Where to search for it. Raises DatabaseUnavailable."""
        if embedding is None or is_undiacritic_vietnamese(question):
            return Direction(embedding.vector if embedding else None, False)
        key = (scope.generation, scope.include)
        if (languages := self._languages.get(key)) is None:
            languages = self._languages[key] = await languages_of(self._database, scope)
        if self._neutral.applies(detect_language(question), languages):
            try:
                return Direction(await self._neutral.freed(embedding.vector), True)
            except Unavailable as error:
                notice = f"Searched in the question's language first: {error.message}"
                return Direction(embedding.vector, False, notice)
        return Direction(embedding.vector, False)


@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """vector: (dimension,), unit length; None where words alone search.

    crossing: whether it looks for documents in other languages than the question's too. notice: why it
    does not although there are some; such a result is not cached.
    """

    vector: Vector | None
    crossing: bool
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Reranked:
    """Candidates, best first, and what the reranker said of the best `len(scores.values)` of them."""

    candidates: tuple[Candidate, ...]
    scores: Scores


async def rerank(question: str, candidates: Sequence[Candidate], reranker: Reranker) -> Reranked:
    """Order the best `reranker.depth` candidates by both scores; the rest follow as they were.

    A candidate that the reranker gave no score keeps its place. Raises what the reranker raises.
    """
    ordered = sorted(candidates, key=lambda c: -c.score)
    depth = reranker.depth  # read once: a model may become ready any moment
    head, tail = ordered[:depth], ordered[depth:]
    scores = _finite(await reranker.score(question, [c.passage for c in head]))
    scored = [(c, v) for c, v in zip(head, scores.values, strict=True) if v is not None]
    # Support is of all passages, or of none.
    support = scores.support if len(scored) == len(head) else None
    totals = added([c.fused for c, _ in scored], [v for _, v in scored], scores.scale, support)
    if scores.second is not None:
        totals = await read_again(question, [c.passage for c, _ in scored], totals, scores.second)
    moved = iter(
        sorted(
            (replace(c, reranked=v, score=s) for (c, v), s in zip(scored, scaled(totals), strict=True)),
            key=lambda c: -c.score,
        )
    )
    head = [next(moved) if v is not None else c for c, v in zip(head, scores.values, strict=True)]
    if len(scored) < len(head):
        head = _in_step(head)
    floor = min((c.score for c in head), default=0.0)
    top = max((c.score for c in tail), default=0.0)
    tail = [replace(c, score=c.score - max(0.0, top - floor)) for c in tail]
    return Reranked((*head, *tail), scores)


def _finite(scores: Scores) -> Scores:
    """Without what is no number, as a broken model gives."""
    broken = sum(value is not None and not math.isfinite(value) for value in scores.values)
    if not broken:
        return scores
    notice = f"{broken} of {len(scores.values)} passages got no usable score from {scores.served_by}."
    values = tuple(v if v is not None and math.isfinite(v) else None for v in scores.values)
    return replace(scores, values=values, notice=f"{scores.notice} {notice}".strip())


def _in_step(candidates: list[Candidate]) -> list[Candidate]:
    """Candidates without a score of the reranker, given that of the one before, so that they stay there."""
    score = max((c.score for c in candidates if c.reranked is not None), default=None)
    if score is None:
        return candidates
    placed: list[Candidate] = []
    for candidate in candidates:
        score = candidate.score if candidate.reranked is not None else score
        placed.append(replace(candidate, score=score))
    return placed


def in_force_first(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Candidates, best first, where those of documents not in force count less."""
    held = (c if c.passage.document_status == "active" else _held_back(c) for c in candidates)
    return sorted(held, key=lambda c: -c.score)


def _held_back(candidate: Candidate) -> Candidate:
    return replace(candidate, score=candidate.score * NOT_IN_FORCE)


def _merge(
    found: Sequence[dict[int, tuple[float | None, float | None, float]]],
) -> dict[int, tuple[float | None, float | None, float]]:
    """One score a passage over all phrasings: the mean, where not found counts as nothing.

    The single scores shown are those for the first phrasing that found it.
    """
    if len(found) == 1:
        return found[0]
    merged: dict[int, tuple[float | None, float | None, float]] = {}
    for scores in found:
        for i, (words, vector, fused) in scores.items():
            if i in merged:
                words, vector = merged[i][:2]
                fused += merged[i][2] * len(found)
            merged[i] = (words, vector, fused / len(found))
    return merged
