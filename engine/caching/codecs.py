"""Cached values as msgpack. Formats name the fields, so that another version's bytes are never read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any

import msgpack  # type: ignore[import-untyped]
import numpy as np
from pydantic import TypeAdapter

from engine.answering.base import Draft, Quoted
from engine.answering.model import Citation
from engine.caching.layered import Codec
from engine.documents.model import Passage
from engine.retrieval.embedders.base import Embedding, TokenEmbeddings
from engine.retrieval.model import Candidate, Retrieval

_ENTRY = 400  # bytes of objects around a passage's text, measured roughly
_CANDIDATE = 250  # of its place in a result, with its scores


def _names(kind: type[Any]) -> str:
    return ",".join(field.name for field in fields(kind))


def _encode_embedding(value: Embedding) -> bytes:
    tokens = value.tokens
    packed = None
    if tokens is not None:
        packed = [len(tokens.vectors), tokens.vectors.tobytes(), tokens.spans.astype("<i4").tobytes()]
    return bytes(msgpack.packb([value.vector.astype("<f4").tobytes(), packed]))


def _decode_embedding(packed: bytes) -> Embedding:
    vector, rest = msgpack.unpackb(packed)
    tokens = None
    if rest is not None:
        count, vectors, spans = rest
        tokens = TokenEmbeddings(
            np.frombuffer(vectors, np.float32).reshape(count, -1),
            np.frombuffer(spans, "<i4").reshape(count, 2),
        )
    return Embedding(np.frombuffer(vector, np.float32), tokens)


def _embedding_size(value: Embedding) -> int:
    tokens = value.tokens
    return int(value.vector.nbytes + (tokens.vectors.nbytes + tokens.spans.nbytes if tokens else 0) + 500)


EMBEDDING: Codec[Embedding] = Codec("embedding 1", _encode_embedding, _decode_embedding, _embedding_size)


_of_passage = attrgetter(*_names(Passage).split(","))
_of_candidate = attrgetter(*_names(Candidate).split(",")[1:])


def _encode_retrieval(value: Retrieval) -> bytes:
    rows = [[_of_passage(c.passage), *_of_candidate(c)] for c in value.candidates]
    return bytes(msgpack.packb([rows, value.found, value.notice, value.reranker]))


def _decode_retrieval(packed: bytes) -> Retrieval:
    rows, found, notice, reranker = msgpack.unpackb(packed)
    candidates = tuple(Candidate(Passage(*passage), *scores) for passage, *scores in rows)
    return Retrieval(candidates, found, notice, reranker=reranker)


def _retrieval_size(value: Retrieval) -> int:
    return _CANDIDATE * len(value.candidates) + _ENTRY


def _passages_shared(value: Retrieval, one: Callable[[Any], Any]) -> Retrieval:
    """Results of different questions hold the same passages, whose texts take nine tenths of the room."""
    candidates = (
        Candidate(one(c.passage), c.lexical, c.dense, c.fused, c.reranked, c.score) for c in value.candidates
    )
    return replace(value, candidates=tuple(candidates))


def _passage_size(passage: Passage) -> int:
    # Texts of other than Latin letters take two bytes a character in memory.
    return _ENTRY + 2 * (len(passage.text) + len(passage.heading) + len(passage.context))


RETRIEVAL: Codec[Retrieval] = Codec(
    f"retrieval 2 {_names(Passage)} {_names(Candidate)}",
    _encode_retrieval,
    _decode_retrieval,
    _retrieval_size,
    _passages_shared,
    _passage_size,
)


_QUOTED = TypeAdapter(Quoted)


def _decode_quoted(packed: bytes) -> Quoted:
    return _QUOTED.validate_json(packed)


def _quoted_size(value: Quoted) -> int:
    draft = value.draft
    return _ENTRY + 2 * len(draft.text) + sum(_passage_size(c.passage) for c in draft.citations)


QUOTED: Codec[Quoted] = Codec(
    f"answer 1 {_names(Quoted)} {_names(Draft)} {_names(Citation)} {_names(Passage)}",
    _QUOTED.dump_json,
    _decode_quoted,
    _quoted_size,
)
