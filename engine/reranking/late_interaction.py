"""Late interaction (Khattab & Zaharia 2020): a question's tokens against a passage's.

Each of the question's tokens looks for its nearest in the passage; the similarities are averaged,
those of rare words counting more: with all tokens equal, long questions ranked by their small words.
A passage's vectors come from embedding its sentences apart, some 250 characters at a time
(`interaction_units`): vectors made within the whole passage all lean towards its topic, and
ranked clearly worse. Pieces of a word are averaged and punctuation is dropped, which costs no
quality and saves a third. How they are stored: `engine.reranking.packed_tokens`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.retrieval.embedders.base import TokenEmbeddings, TokenVectors
from engine.text.analysis import analyse, analyse_question, fold_term
from engine.text.languages import detect_language
from engine.text.sentences import split_sentences

_UNIT = 250  # characters
_WORD = re.compile(r"\w+")


def interaction_units(text: str) -> list[tuple[int, int]]:
    """Start and end of the parts of a passage to embed apart: sentences, short ones together."""
    units: list[tuple[int, int]] = []
    for start, end in split_sentences(text):
        if units and end - units[-1][0] <= _UNIT:
            units[-1] = (units[-1][0], end)
        else:
            units.append((start, end))
    return units


def gather_tokens(
    text: str, units: Sequence[tuple[int, int]], embedded: Sequence[TokenEmbeddings]
) -> TokenEmbeddings:
    """One vector a word of `text`, from the token vectors of its units.

    embedded: of each unit's own text, spans within it; it may be cut short. Words without a
    letter or digit are left out. Spans of the result are those of the words in `text`.
    """
    parts = [tokens for tokens in embedded if len(tokens.vectors)]
    if not parts:
        return TokenEmbeddings(np.zeros((0, 0), np.float32), np.zeros((0, 2), np.int32))
    spans = np.concatenate(
        [
            tokens.spans + start
            for (start, _), tokens in zip(units, embedded, strict=True)
            if len(tokens.spans)
        ]
    )
    vectors = np.concatenate([tokens.vectors for tokens in parts])
    worded = np.array([any(c.isalnum() for c in text[start:end]) for start, end in spans.tolist()])
    spans, vectors = spans[worded], vectors[worded]
    if not len(spans):
        return TokenEmbeddings(vectors, spans)
    begins = np.ones(len(spans), bool)
    begins[1:] = spans[1:, 0] != spans[:-1, 1]
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(spans)) - 1
    words = _unit(np.add.reduceat(vectors, first, axis=0))
    return TokenEmbeddings(words, np.stack([spans[first, 0], spans[last, 1]], axis=1).astype(np.int32))


def token_weights(
    question: str, spans: NDArray[np.int32], rarity: Mapping[str, float]
) -> NDArray[np.float32]:
    """What each of the question's tokens counts: (tokens,), 1 and its word's rarity.

    rarity: inverse document frequency by term; a word without a term (a stop word) has none.
    """
    asked = analyse_question(question)
    language = "vi" if asked.fold else detect_language(question)
    words = [(m.start(), m.end(), m[0]) for m in _WORD.finditer(question)]
    weights = np.ones(len(spans), np.float32)
    for token, begin in enumerate(spans[:, 0].tolist()):
        word = next((word for start, end, word in words if start <= begin < end), "")
        terms = analyse(word, language)
        weights[token] += max(
            (rarity.get(fold_term(term) if asked.fold else term, 0.0) for term in terms), default=0.0
        )
    return weights


def late_interaction_scores(
    question: TokenEmbeddings,
    passages: Sequence[TokenVectors],
    weights: NDArray[np.float32] | None = None,
    *,
    pairs: float = 0.0,
) -> NDArray[np.float32]:
    """Mean similarity of the question's tokens to their nearest in each passage: (passages,).

    In [-1, 1]; -1 for a passage without tokens. weights: (tokens,), equal by default.
    pairs: share of tokens taken two by two, side by side in the question and in the passage: of
        two passages with the same words, the one that has them together means what was asked.
    """
    scores = np.full(len(passages), -1.0, np.float32)
    held = [i for i, passage in enumerate(passages) if len(passage)]
    if not held or not len(question.vectors):
        return scores
    if weights is None:
        weights = np.ones(len(question.vectors), np.float32)
    similar = np.concatenate([passages[i].similar(question.vectors) for i in held])
    starts = np.cumsum([0, *(len(passages[i]) for i in held[:-1])])
    single = np.average(np.maximum.reduceat(similar, starts, axis=0), axis=1, weights=weights)
    if pairs and similar.shape[1] > 1:
        double = np.average(_pairs(similar, starts), axis=1, weights=weights[:-1] + weights[1:])
        single = (1 - pairs) * single + pairs * double
    scores[held] = single
    return scores


def _pairs(similar: NDArray[np.float32], starts: NDArray[np.intp]) -> NDArray[np.float32]:
    """Best mean similarity of each two tokens side by side to two words side by side: (passages, tokens - 1).

    similar: (words of all passages, tokens). starts: each passage's first word.
    """
    before, after = np.roll(similar, 1, axis=0), np.roll(similar, -1, axis=0)
    before[starts] = -1.0
    after[starts - 1] = -1.0  # a passage's last word; that of the last passage is row -1
    near = np.maximum(similar, np.maximum(before, after))
    pairs = np.maximum(similar[:, :-1] + near[:, 1:], near[:, :-1] + similar[:, 1:]) / 2
    best: NDArray[np.float32] = np.maximum.reduceat(pairs, starts, axis=0)
    return best


def likeness(passages: Sequence[TokenVectors]) -> NDArray[np.float32]:
    """How alike passages are, each row summing to 1 or 0: (passages, passages), nothing on the diagonal.

    By the squared cosine of their mean vectors, as they differ from that of all of them.
    """
    centres = [passage.centre() for passage in passages]
    dimension = max(map(len, centres), default=0)
    means = np.stack([centre if len(centre) else np.zeros(dimension, np.float32) for centre in centres])
    means = _unit((means - means.mean(axis=0)).astype(np.float32))
    alike = np.maximum(means @ means.T, 0) ** 2
    np.fill_diagonal(alike, 0)
    total = alike.sum(axis=1, keepdims=True)
    spread: NDArray[np.float32] = np.divide(alike, total, out=np.zeros_like(alike), where=total > 0)
    return spread


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of unit length."""
    lengths = np.sqrt(np.einsum("td,td->t", vectors, vectors))[:, None]
    unit: NDArray[np.float32] = vectors / np.maximum(lengths, 1e-12)
    return unit
