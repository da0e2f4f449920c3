"""Opens what compares rerankers; it is closed with the stack it is given."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack

from engine.access.audit import Audit
from engine.access.principal import Access
from engine.asking import Asker
from engine.documents.ingestion import Ingestion
from engine.evaluation.comparison import Comparison
from engine.evaluation.live import Live
from engine.evaluation.question_sets import QuestionSets
from engine.evaluation.runs import Runs
from engine.evaluation.set_documents import SetDocuments
from engine.observability.traffic import Traffic
from engine.reranking.base import Reranker
from engine.retrieval.retriever import Retriever
from engine.settings import Settings
from engine.storage.database import Database


def open_comparison(
    stack: AsyncExitStack,
    settings: Settings,
    database: Database,
    retriever: Retriever,
    rerankers: Mapping[str, Reranker | None],
    ingestion: Ingestion,
    asker: Asker,
    traffic: Traffic,
    access: Access,
) -> Comparison:
    """Nothing runs before it is asked for. Raises BadInput for an unknown challenger."""
    k = settings.default_retrieval_k
    sets = QuestionSets(database, access)
    documents = SetDocuments(database, ingestion, traffic)
    runs = Runs(
        database,
        sets,
        retriever,
        rerankers,
        asker.confidence,
        traffic,
        k=k,
        embedder=settings.embedder,
    )
    live = Live(database, rerankers, traffic, settings.challenger_reranker, settings.challenger_share, access)
    asker.answered = live.offer
    for part in (documents, runs, live):
        stack.push_async_callback(part.aclose)
    audit = Audit(database, access)
    return Comparison(
        database,
        retriever,
        rerankers,
        asker.check,
        asker.admit,
        audit,
        access,
        sets=sets,
        documents=documents,
        runs=runs,
        live=live,
        k=k,
    )
