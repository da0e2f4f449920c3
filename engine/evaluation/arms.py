"""One reranker on one question, timed alone, whatever becomes of it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

from engine.errors import DossierError
from engine.evaluation.model import ArmResult, Contender
from engine.reranking.base import Reranker
from engine.retrieval.model import Retrieval
from engine.retrieval.retriever import in_force_first, rerank

log = logging.getLogger(__name__)

NONE = "none"
LONGEST_SECONDS = 60.0


async def run_arm(question: str, found: Retrieval, name: str, reranker: Reranker | None) -> ArmResult:
    """Order what the searches found, as users would get it. Raises nothing but a cancellation."""
    as_found = tuple(in_force_first(found.candidates))
    if name == NONE or not as_found:
        return ArmResult(name, name, as_found, 0.0, cost_usd=0.0)
    started = time.perf_counter()
    try:
        if reranker is None:
            raise DossierError("The embedder gives no token vectors, which this reranker needs.")
        async with asyncio.timeout(LONGEST_SECONDS):
            reranked = await rerank(question, found.candidates, reranker)
    except (DossierError, TimeoutError) as error:
        why = str(error) or f"It did not answer within {LONGEST_SECONDS:g} s."
        return ArmResult(name, NONE, as_found, _since(started), error=why)
    except Exception:
        log.exception("The reranker %s failed on %r", name, question)
        return ArmResult(name, NONE, as_found, _since(started), error="It failed; the server's log says why.")
    milliseconds = _since(started)
    scores = reranked.scores
    return ArmResult(
        name,
        scores.served_by,
        tuple(in_force_first(reranked.candidates)),
        milliseconds,
        scores.cost_usd,
        scores.prompt_tokens,
        scores.completion_tokens,
        scores.notice,
        "" if scores.served_by == name else f"{scores.served_by} stood in for it. {scores.notice}".strip(),
    )


def depth_of(rerankers: Mapping[str, Reranker | None]) -> int:
    """How many candidates the most thorough of them wants."""
    return max((reranker.depth for reranker in rerankers.values() if reranker), default=0)


def contender(name: str, reranker: Reranker | None) -> Contender:
    """Whether a reranker can serve now."""
    if reranker is None:
        missing = "" if name == NONE else "The embedder gives no token vectors. Choose another EMBEDDER."
        return Contender(name, "failed" if missing else "ready", missing)
    state = reranker.state()
    return Contender(name, state.status, state.why)


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
