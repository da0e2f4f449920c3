"""One score from two searches: a weighted sum of standardised scores.

Lexical and vector scores are standardised over the candidates (mean 0, deviation 1) and
added (Fox & Shaw 1994; Bruch, Gai & Ingber 2023 compare the ways to do it). Standardising
beat reciprocal ranks, min-max and fixed bounds in both languages, and is flat around these
constants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.text.languages import UNKNOWN

# Weight of the lexical side: 0.35 to 0.45 measured alike.
LEXICAL_WEIGHT = 0.37
# Where the embedder cannot read the question, its vectors only break ties.
LEXICAL_WEIGHT_UNREADABLE = 0.85
# Where the best BM25 score is less than this share of what the question's words are worth, next to
# none of them occur, as with a question in another language: such hits count in proportion.
_FEW_WORDS = 0.15
# Candidates that are thought to be added to each language's, without any word of the question.
_ADDED = 5
# No candidate stands out by more than this many deviations: one lone hit must not decide alone.
_LARGEST = 6.0


def fuse(
    lexical: Mapping[int, float],
    dense: Mapping[int, float],
    *,
    worth: float = 0.0,
    undiacritic: bool = False,
    readable: bool = True,
    languages: Mapping[int, str] | None = None,
) -> dict[int, float]:
    """Passage id → score in [0, 1], the best 1 and the worst 0, for every id of either side.

    lexical: BM25 scores; an id it lacks has none of the question's terms. dense: cosines.
        Give each side's exact scores for the other's candidates too where they are known;
        a missing cosine counts as the lowest one given.
    worth: the BM25 score of an average passage with each of the question's words once, those that
        no passage has among them; 0 where it is not known.
    undiacritic: the question is Vietnamese without marks, which embedders hardly understand.
    readable: whether the embedder knows the question's language at all.
    languages: of the passages, where they are in several. Words then tell passages of one language from
        each other only: one in another holds next to none of them, whatever it says.
    """
    ids = [*lexical, *(i for i in dense if i not in lexical)]
    if not ids:
        return {}
    if readable and not undiacritic:
        enough = _FEW_WORDS * worth
        weight = LEXICAL_WEIGHT * min(1.0, max(lexical.values(), default=0.0) / enough if enough else 1.0)
    else:
        weight = LEXICAL_WEIGHT_UNREADABLE
    lowest = min(dense.values(), default=0.0)
    words = np.array([lexical.get(i, 0.0) for i in ids])
    vectors = np.array([dense.get(i, lowest) for i in ids])
    if languages is not None:
        words = _within(words, [languages.get(i, UNKNOWN) for i in ids])
    fused = weight * _standardised(words) + (1 - weight) * _standardised(vectors)
    span = float(fused.max() - fused.min())
    scaled = (fused - fused.min()) / span if span > 0 else np.ones_like(fused)
    return dict(zip(ids, scaled.tolist(), strict=True))


def _within(scores: NDArray[np.float64], languages: Sequence[str]) -> NDArray[np.float64]:
    """Scores as they differ from the mean of their language."""
    own = np.array(languages)
    centred = scores.copy()
    for language in set(languages):
        here = own == language
        centred[here] -= scores[here].sum() / (here.sum() + _ADDED)
    return centred


def _standardised(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Zero mean, unit deviation; all zero if the scores do not differ (an empty side)."""
    above = scores - scores.mean()
    deviation = max(float(scores.std()), float(above.max()) / _LARGEST)
    if deviation <= 1e-9:
        return np.zeros_like(scores)
    standard: NDArray[np.float64] = above / deviation
    return standard
