"""A second reading of the first few passages, where the first two are nearly level.

A model that reads passages when it is asked costs too much for every question, and gains nothing where
one passage is clearly ahead: of short English questions one in eight or twenty is read again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.documents.model import Passage
from engine.errors import Unavailable
from engine.observability.trace import span
from engine.reranking.local import LocalReranker
from engine.text.languages import detect_language

READ = 3  # passages; 2 measured alike, 30 no better
NEARLY_LEVEL = 2.0  # deviations of the retrieval's scores between the first two; 3 measured alike
WEIGHT = 1.5  # of the second reading; up to 2.5 measured alike, 1 a little lower
LANGUAGE = "en"  # of the one model that is there
_LOAD_SECONDS = 5.0  # once in a process
SECONDS = 0.5  # past which the first reading stands: many ask at once, and wait for one model


async def read_again(
    question: str, passages: Sequence[Passage], totals: NDArray[np.float64], reranker: LocalReranker
) -> NDArray[np.float64]:
    """Scores with the reranker's added to the first few's, none of which rises by it.

    totals: see `added`, in the passages' order. They stay where the first is clearly ahead, a passage is in
    another language, or the reranker cannot serve.
    """
    first = np.argsort(-totals, kind="stable")[:READ]
    read = [passages[i] for i in first]
    if len(read) < 2 or totals[first[0]] - totals[first[1]] > NEARLY_LEVEL:
        return totals
    if any(detect_language(passage.text) != LANGUAGE for passage in read):
        return totals
    with span("second reading", reranker=reranker.name, passages=len(read)):
        try:
            async with asyncio.timeout(_LOAD_SECONDS):
                await reranker.loaded()
            scores = await reranker.score(question, read)
        except (Unavailable, TimeoutError):
            return totals
    values = np.array(scores.values, np.float64)  # None becomes no number
    if not np.isfinite(values).all():
        return totals
    totals = totals.copy()
    totals[first] += WEIGHT * (values - values.max()) / scores.scale
    return totals
