"""Late interaction (Khattab & Zaharia 2020): a question's tokens against a passage's, and how to store those.

A question's token looks for its nearest token in the passage; the similarities are averaged.
That is done over the whole passage and over its best stretch of some 48 tokens, so that a
passage which answers in one place beats one that mentions the words here and there.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.retrieval.embedders.base import TokenEmbeddings
from engine.text.analysis import analyse

# Share of the late interaction in the final score: 0.4 to 0.6 measured alike.
RERANKED_WEIGHT = 0.5
# Weights of a question's tokens: words of content, stop words, punctuation.
_CONTENT, _STOP_WORD, _PUNCTUATION = 1.0, 0.3, 0.1
_BLOCK = 24  # tokens; a stretch is two neighbouring blocks
_STRETCH_SHARE = 0.5

_VERSION = 1
_HEADER = struct.Struct("<BBHI")  # version, bytes of an offset, dimension, tokens
# The optimal uniform quantiser of a normal value with 16 levels has steps of a third of its deviation.
_STEP = 0.335
_LEVELS = (np.arange(16, dtype=np.float32) - 7.5) * _STEP
# Byte → its two values, which lie in one word so that looking them up is one move.
_PAIRS = np.stack([np.repeat(_LEVELS, 16), np.tile(_LEVELS, 16)], axis=1).view(np.uint64).ravel()


def encode_tokens(tokens: TokenEmbeddings) -> bytes:
    """Token vectors and spans packed for storage: half a byte a dimension, 4 or 8 bytes a span.

    The packing is little-endian with a versioned header. Of 256 dimensions it costs 132 bytes
    a token; rankings by the packed vectors measured the same as by the exact ones.
    """
    count, dimension = tokens.vectors.shape
    deviation = np.sqrt((tokens.vectors**2).mean(axis=1, keepdims=True))
    codes = np.floor(tokens.vectors / np.maximum(deviation, 1e-12) / _STEP) + 8
    codes = np.clip(codes, 0, 15).astype(np.uint8)
    if dimension % 2:
        codes = np.pad(codes, ((0, 0), (0, 1)))
    wide = count > 0 and int(tokens.spans.max()) > 0xFFFF
    return b"".join(
        (
            _HEADER.pack(_VERSION, 4 if wide else 2, dimension, count),
            tokens.spans.astype("<u4" if wide else "<u2").tobytes(),
            (codes[:, 0::2] << 4 | codes[:, 1::2]).tobytes(),
        )
    )


def decode_tokens(packed: bytes) -> TokenEmbeddings:
    """What `encode_tokens` packed; vectors of unit length. Raises ValueError for other bytes."""
    if len(packed) < _HEADER.size:
        raise ValueError("Packed token vectors are cut short.")
    version, offset_bytes, dimension, count = _HEADER.unpack_from(packed)
    width = (dimension + 1) // 2
    if version != _VERSION or offset_bytes not in (2, 4):
        raise ValueError(f"Packed token vectors of unknown version {version}.")
    if len(packed) != _HEADER.size + count * (2 * offset_bytes + width):
        raise ValueError("Packed token vectors have the wrong length.")
    spans = np.frombuffer(packed, f"<u{offset_bytes}", 2 * count, _HEADER.size).reshape(count, 2)
    codes = np.frombuffer(packed, np.uint8, count * width, len(packed) - count * width)
    vectors = _PAIRS[codes].view(np.float32).reshape(count, 2 * width)[:, :dimension]
    lengths = np.sqrt(np.einsum("td,td->t", vectors, vectors))[:, None]
    return TokenEmbeddings(vectors / np.maximum(lengths, 1e-12), spans.astype(np.int32))


def question_weights(question: str, spans: NDArray[np.int32]) -> NDArray[np.float32]:
    """What each of a question's tokens counts, (tokens,), summing to 1.

    spans: the tokens' places in `question`. A piece of a word weighs as its word does.
    """
    weights = np.zeros(len(spans), np.float32)
    for i, (start, end) in enumerate(spans.tolist()):
        while start > 0 and question[start - 1].isalnum():
            start -= 1
        while end < len(question) and question[end].isalnum():
            end += 1
        word = question[start:end]
        if not any(character.isalnum() for character in word):
            weights[i] = _PUNCTUATION
        else:
            weights[i] = _CONTENT if analyse(word, "en") else _STOP_WORD
    return weights / max(float(weights.sum()), 1e-12)


def late_interaction_scores(
    question: TokenEmbeddings,
    passages: Sequence[TokenEmbeddings],
    weights: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """One score a passage, (passages,), in [-1, 1]; -1 for a passage without tokens.

    weights: (question tokens,), summing to 1, as `question_weights` gives; None is all alike.
    """
    scores = np.full(len(passages), -1.0, np.float32)
    held = [i for i, passage in enumerate(passages) if len(passage.vectors)]
    if not held or not len(question.vectors):
        return scores
    if weights is None:
        weights = np.full(len(question.vectors), 1 / len(question.vectors), np.float32)
    blocks = [np.arange(0, len(passages[i].vectors), _BLOCK) for i in held]
    tokens = np.cumsum([0, *(len(passages[i].vectors) for i in held)])
    starts = np.concatenate([own + offset for own, offset in zip(blocks, tokens, strict=False)])
    first = np.cumsum([0, *map(len, blocks)])[:-1]  # each passage's first block
    similar = np.concatenate([passages[i].vectors @ question.vectors.T for i in held])
    nearest = np.maximum.reduceat(similar, starts, axis=0)  # (blocks, question tokens)
    whole = np.maximum.reduceat(nearest, first, axis=0) @ weights
    pairs = nearest.copy()
    np.maximum(nearest[:-1], nearest[1:], out=pairs[:-1])
    last = np.append(first[1:], len(starts)) - 1
    pairs[last] = nearest[last]  # a passage's last block has no neighbour
    stretch = np.maximum.reduceat(pairs @ weights, first)
    scores[held] = (1 - _STRETCH_SHARE) * whole + _STRETCH_SHARE * stretch
    return scores


def combine(fused: Sequence[float], reranked: Sequence[float]) -> list[float]:
    """Final scores in [0, 1] of candidates: both scores standardised and averaged."""
    if not fused:
        return []
    total = (1 - RERANKED_WEIGHT) * _standardised(fused) + RERANKED_WEIGHT * _standardised(reranked)
    span = float(total.max() - total.min())
    scaled = (total - total.min()) / span if span > 0 else np.ones_like(total)
    return [float(score) for score in scaled]


def _standardised(scores: Sequence[float]) -> NDArray[np.float64]:
    values = np.asarray(scores, np.float64)
    deviation = float(values.std())
    standard: NDArray[np.float64] = (values - values.mean()) / deviation if deviation > 1e-9 else 0.0 * values
    return standard
