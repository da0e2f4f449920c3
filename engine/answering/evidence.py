"""Which sentences of the sources answer the question, and whether any does.

The second is an estimated probability, for saying "not in here": a logistic regression on three
scores, fitted to squad2-en (1,299 questions that its paragraphs answer, 1,529 that they do not, though
about them) and to xquad-en's and xquad-vi's 612 each, asked of half of their articles. Fitted without
one of these and tried on it, it tells questions on other subjects from answerable ones with an AUROC
of 0.996 (English) and 0.988 (Vietnamese), and squad2-en's own unanswerable ones with 0.634
(cross-validation by article). A question is hardly answered by sources that lack the numbers it names.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.answering.base import AnswerRequest
from engine.reranking.numbers import numbers_held
from engine.retrieval.embedders.base import TokenEmbeddings, TokenVectors
from engine.text.analysis import analyse, analyse_question, fold_term
from engine.text.languages import differ
from engine.text.sentences import split_sentences

# Below it nothing is quoted: of answerable questions 1.7 (xquad-vi) to 7 % (xquad-en) are refused, of
# those on other subjects 89 to 98 %, of those that only look answerable 11 %.
ANSWER_THRESHOLD = 0.25

# A sentence with this share of the question's terms is worth quoting whatever the estimate, which
# is too low for short mixed passages; of 240 questions on another subject one met such a sentence.
_SAID = 0.6

# Embedder → weights of the highest cosine, the best sentence's late interaction and the share of the
# question's numbers that this sentence's source holds, and the intercept. Scores of another embedder
# lie elsewhere, and would need a fit of their own.
_FITTED = {"multilingual-e5-small": (14.36, 16.58, 1.13, -27.75)}
# What to add to the cosine and to late interaction of a source in another language than the question's.
_OTHER_LANGUAGE = (0.02, 0.05)
# Where there is no such fit, or the embedder cannot read the question: the coverage alone.
_COVERAGE_ONLY = (4.80, -3.09)


def answerability(request: AnswerRequest) -> float:
    """Estimated probability, in [0, 1], that the sources answer the question; 0 without sources."""
    if not request.sources:
        return 0.0
    asked = analyse_question(request.question)
    terms = set(asked.terms)
    estimate = _estimate(request, terms, asked.fold)
    if estimate < ANSWER_THRESHOLD and len(terms) > 1 and _said_at_once(request, terms, asked.fold) >= _SAID:
        return ANSWER_THRESHOLD
    return estimate


def _said_at_once(request: AnswerRequest, terms: set[str], fold: bool) -> float:
    """Largest share of the question's terms that one sentence of the sources has."""
    return max(
        _share(terms, analyse(candidate.passage.text[start:end], request.language), fold)
        for candidate in request.sources
        for start, end in split_sentences(candidate.passage.text)
    )


def _estimate(request: AnswerRequest, terms: set[str], fold: bool) -> float:
    fitted = _FITTED.get(request.embedder)
    crossing = [differ(request.language, c.passage.language) for c in request.sources]
    cosine_gap, sentence_gap = _OTHER_LANGUAGE
    cosines = [
        c.dense + cosine_gap * crosses
        for c, crosses in zip(request.sources, crossing, strict=True)
        if c.dense is not None
    ]
    if fitted is None or fold or not cosines or request.question_tokens is None:
        coverage = max(
            _share(terms, analyse(c.passage.text, request.language), fold) for c in request.sources
        )
        weight, intercept = _COVERAGE_ONLY
        return _logistic(weight * coverage + intercept)
    of_cosine, of_sentence, of_numbers, intercept = fitted
    sentences = [
        sentence_similarities(
            request.question_tokens,
            tokens,
            split_sentences(candidate.passage.text),
            request.token_weights,
            titled=True,
        ).max(initial=-1.0)
        + sentence_gap * crosses
        for candidate, tokens, crosses in zip(request.sources, request.source_tokens, crossing, strict=True)
    ]
    best = int(np.argmax(sentences))
    held = float(numbers_held(request.question, [request.sources[best].passage])[0])
    return _logistic(
        of_cosine * max(cosines) + of_sentence * float(sentences[best]) + of_numbers * held + intercept
    )


def sentence_similarities(
    question: TokenEmbeddings,
    source: TokenVectors,
    places: Sequence[tuple[int, int]],
    weights: NDArray[np.float32] | None = None,
    *,
    titled: bool = False,
) -> NDArray[np.float32]:
    """Late interaction of the question with each sentence of a source: (sentences,).

    places: the sentences' offsets in the source's text. -1 for one without a word.
    titled: read each sentence under its document's title and headings.
    """
    scores = np.full(len(places), -1.0, np.float32)
    if not len(source) or not len(question):
        return scores
    similar = source.similar(question.vectors)
    begins, ends = source.spans[:, 0], source.spans[:, 1]
    above = (begins == ends) & titled
    words = [above | ((begins >= start) & (begins < end)) for start, end in places]
    held = [n for n, inside in enumerate(words) if inside.any()]
    if held:
        nearest = np.stack([similar[words[n]].max(axis=0) for n in held])
        scores[held] = np.average(nearest, axis=1, weights=weights)
    return scores


def _share(terms: set[str], found: Iterable[str], fold: bool) -> float:
    """Share of the question's terms that a passage holds."""
    held = {fold_term(term) for term in found} if fold else set(found)
    return len(terms & held) / max(len(terms), 1)


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, value))))
