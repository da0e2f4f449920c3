"""Measure retrieval and answers on a test collection, through the very code that serves users."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import text

from engine.documents.ingestion import SplitDocument
from engine.documents.passages import split_passages
from engine.engine import Engine, open_engine
from engine.errors import BadInput
from engine.evaluation.collection import Query, TestCollection, plain_text
from engine.evaluation.model import Estimate, Pair
from engine.evaluation.significance import bootstrap_mean, paired_p_value
from engine.opening import open_database
from engine.retrieval.model import Candidate
from engine.settings import Settings
from engine.text.normalisation import normalise

log = logging.getLogger(__name__)

DEPTH = 50  # passages retrieved a query, as for users
CUT = 50  # documents ranked a query
BASELINE = "hybrid"  # what other pipelines are compared with; the first one where it is not measured

# The single scores that a confidence has to beat; the highest among an answer's sources counts.
# The fused score does not tell questions apart: it is 1 for the best passage of each.
_SINGLES: dict[str, Callable[[Candidate], float | None]] = {
    "bm25": lambda source: source.lexical,
    "dense": lambda source: source.dense,
    "reranked": lambda source: source.reranked,
}

Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Evaluation:
    """Figures by pipeline; the answers' figures are None where the collection cannot tell.

    ndcg: nDCG@10 by pipeline, a mean over queries with its interval.
    comparisons: each pipeline against the baseline, in nDCG@10.
    answer_recall: share of answerable questions whose answer text holds a gold answer.
    abstain_auroc: how well the confidence tells answerable questions from others.
    abstain_singles: how well each single score of the best source does.
    """

    pipelines: dict[str, dict[str, float]] = field(default_factory=dict)
    ndcg: dict[str, Estimate] = field(default_factory=dict)
    comparisons: list[Pair] = field(default_factory=list)
    answer_recall: float | None = None
    abstain_auroc: float | None = None
    abstain_singles: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """What was measured; keys are only added from version to version."""
        result: dict[str, Any] = {"pipelines": self.pipelines}
        result["ndcg@10"] = {name: _rounded(estimate) for name, estimate in self.ndcg.items()}
        result["comparisons"] = [_rounded(pair) for pair in self.comparisons]
        for name in ("answer_recall", "abstain_auroc"):
            if (value := getattr(self, name)) is not None:
                result[name] = value
        if self.abstain_singles:
            result["abstain_singles"] = self.abstain_singles
        return result


def _rounded(figures: Estimate | Pair) -> dict[str, Any]:
    return {
        name: round(value, 5) if isinstance(value, float) else value
        for name, value in asdict(figures).items()
    }


async def evaluate(
    settings: Settings,
    collection: TestCollection,
    pipelines: Sequence[str] | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Evaluation:
    """Index the collection apart from the user's documents, ask its queries, measure.

    pipelines: names as `Engine.search` takes them; None is bm25, dense, hybrid and hybrid
        with the default reranker. Latency is that of one query at a time, nothing cached.
    The configured language model is asked for phrasings by pipelines with a mode, and for
    nothing else: answers are measured as quotes, and not where all pipelines have a mode.
    """
    names = list(pipelines or ("bm25", "dense", "hybrid", f"hybrid+{settings.default_reranker_type}"))
    result = Evaluation({name: {} for name in names})
    by_query: dict[str, dict[str, float]] = {}
    for with_mode in (False, True):
        own = [name for name in names if (name.count("+") == 2) == with_mode]
        if not own:
            continue
        async with _apart(settings, collection, language_model=with_mode) as engine:
            await _index(engine, collection, progress)
            ids = await _record_ids(engine)
            for name in own:
                result.pipelines[name], by_query[name] = await _measure(
                    engine, collection, ids, name, progress
                )
            if not with_mode and any(query.answers for query in collection.queries):
                await _answers(engine, collection.queries, result, progress)
    result.ndcg = {name: bootstrap_mean(list(by_query[name].values())) for name in names}
    baseline = BASELINE if BASELINE in names else names[0]
    result.comparisons = [
        _compared(name, by_query[name], baseline, by_query[baseline]) for name in names if name != baseline
    ]
    return result


def _compared(a: str, of_a: dict[str, float], b: str, of_b: dict[str, float]) -> Pair:
    """nDCG@10 of pipeline `a` less that of `b`, query by query."""
    firsts, seconds = np.array(list(of_a.values())), np.array([of_b[query] for query in of_a])
    wins, losses = int((firsts > seconds).sum()), int((firsts < seconds).sum())
    return Pair(
        a,
        b,
        float((firsts - seconds).mean()),
        paired_p_value(firsts.tolist(), seconds.tolist()),
        wins,
        losses,
        len(firsts) - wins - losses,
    )


@asynccontextmanager
async def _apart(
    settings: Settings, collection: TestCollection, *, language_model: bool = False
) -> AsyncIterator[Engine]:
    """An engine on a schema of its own, which is dropped in the end."""
    digest = hashlib.sha256(f"{collection.name}{time.time_ns()}".encode()).hexdigest()[:12]
    changed: dict[str, object] = {
        "database_schema": f"evaluation_{digest}",
        "default_retrieval_k": DEPTH,
        "l1_cache_maxsize": 0,
        "enable_postgres_cache": False,
        "enable_redis_cache": False,
    }
    if not language_model:
        changed |= {"openai_api_key": type(settings.openai_api_key)(""), "openai_base_url": ""}
    own = settings.model_copy(update=changed)
    try:
        async with open_engine(own) as engine:
            yield engine
    finally:  # once nothing writes there any more, as a closing engine still does
        async with AsyncExitStack() as stack:
            database = await open_database(stack, own)
            async with database.write() as db:
                await db.execute(text(f"DROP SCHEMA IF EXISTS {own.database_schema} CASCADE"))


async def _index(engine: Engine, collection: TestCollection, progress: Progress) -> None:
    batch: list[SplitDocument] = []
    for done, record in enumerate(collection.corpus, start=1):
        if drafts := split_passages(plain_text(record.text)):
            batch.append((record.id, record.title.replace("_", " "), drafts))
        if len(batch) == 64 or done == len(collection.corpus):
            await engine.ingestion.ingest_passages(batch)
            batch = []
            progress("indexing", done, len(collection.corpus))
    async with engine.database.autocommit() as db:
        await db.execute(text("VACUUM ANALYZE"))


async def _record_ids(engine: Engine) -> dict[int, str]:
    """Document id → the collection's own id."""
    async with engine.database.read() as db:
        rows = await db.execute(text("SELECT id, file_name FROM documents"))
        return {document_id: name for document_id, name in rows}


async def _measure(
    engine: Engine, collection: TestCollection, ids: dict[int, str], pipeline: str, progress: Progress
) -> tuple[dict[str, float], dict[str, float]]:
    """A pipeline's figures, and its nDCG@10 by query."""
    import ir_measures
    from ir_measures import RR, R, nDCG

    judged = [query for query in collection.queries if query.id in collection.relevance]
    if not judged:
        raise BadInput(f"No query of {collection.name} has a relevance judgment.")
    run: list[Any] = []
    milliseconds: list[float] = []
    await engine.operations.clear_cache()
    if "+" in pipeline:
        await engine.reranker_models.loaded(pipeline.split("+")[1])
    await engine.search(judged[0].text, k=DEPTH, pipeline=pipeline)  # plans and pages are warm for all
    await engine.operations.clear_cache()
    for done, query in enumerate(judged, start=1):
        started = time.perf_counter()
        candidates = await engine.search(query.text, k=DEPTH, pipeline=pipeline)
        milliseconds.append((time.perf_counter() - started) * 1000)
        records = dict.fromkeys(ids[c.passage.document_id] for c in candidates)
        run += [
            ir_measures.ScoredDoc(query.id, record, float(CUT - rank))
            for rank, record in enumerate(list(records)[:CUT])
        ]
        if done % 50 == 0 or done == len(judged):
            progress(pipeline, done, len(judged))
    relevant = [
        ir_measures.Qrel(query.id, record, gain)
        for query in judged
        for record, gain in collection.relevance[query.id].items()
    ]
    measures = {nDCG @ 10: "ndcg@10", RR @ 10: "mrr@10", R @ 50: "recall@50"}
    by_query: dict[str, dict[str, float]] = {name: {} for name in measures.values()}
    for metric in ir_measures.iter_calc(list(measures), relevant, run):
        by_query[measures[metric.measure]][metric.query_id] = float(metric.value)
    return {
        **{name: round(float(np.mean(list(values.values()))), 4) for name, values in by_query.items()},
        "p50_ms": round(float(np.percentile(milliseconds, 50)), 2),
        "p95_ms": round(float(np.percentile(milliseconds, 95)), 2),
        "queries": len(judged),
    }, by_query["ndcg@10"]


async def _answers(engine: Engine, queries: Sequence[Query], result: Evaluation, progress: Progress) -> None:
    """Ask every query; see whether the answer holds a gold one, and how sure it was."""
    held: list[bool] = []
    labels: list[bool] = []
    sure: list[float] = []
    singles: dict[str, list[float]] = {name: [] for name in _SINGLES}
    for done, query in enumerate(queries, start=1):
        answerable = query.answerable is not False
        answer = await engine.ask(query.text)
        if answerable and query.answers:
            shown = normalise(answer.text).casefold()
            held.append(any(normalise(gold).casefold() in shown for gold in query.answers))
        if query.answerable is not None:
            labels.append(query.answerable)
            sure.append(answer.confidence)
            for name, score in _SINGLES.items():
                singles[name].append(max((score(source) or 0.0 for source in answer.sources), default=0.0))
        if done % 50 == 0 or done == len(queries):
            progress("answers", done, len(queries))
    if held:
        result.answer_recall = round(sum(held) / len(held), 4)
    if len(set(labels)) == 2:
        from sklearn.metrics import roc_auc_score

        result.abstain_auroc = round(float(roc_auc_score(labels, sure)), 4)
        result.abstain_singles = {
            name: round(float(roc_auc_score(labels, scores)), 4) for name, scores in singles.items()
        }
