"""A SentencePiece unigram tokeniser (Kudo 2018) whose tokens know their characters in the text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.retrieval.embedders.sentence import Tokens

BOS, PAD, EOS, UNKNOWN = 0, 1, 2, 3  # XLM-RoBERTa's numbering
_SPACE = 0x20
_CHARACTERS_PER_TOKEN = 32  # more than a piece has: the rest of a longer text cannot matter
_MODEL, _REPLACEMENTS = "unigram.model", "replacements.json"


def save_unigram(
    folder: Path, pieces: Sequence[str], scores: Sequence[float], replacements: Mapping[str, str]
) -> None:
    """Write a tokeniser to `folder` for `UnigramTokeniser`.

    replacements: what a character becomes before the vocabulary is consulted (most of NFKC).
    """
    from sentencepiece import sentencepiece_model_pb2

    proto: Any = sentencepiece_model_pb2
    model, kinds = proto.ModelProto(), proto.ModelProto.SentencePiece
    for number, (piece, score) in enumerate(zip(pieces, scores, strict=True)):
        kind = kinds.UNKNOWN if number == UNKNOWN else kinds.NORMAL
        if number in (BOS, PAD, EOS) or piece == "<mask>":
            kind = kinds.CONTROL  # text that spells one of them is text
        model.pieces.add(piece=piece, score=score, type=kind)
    model.trainer_spec.model_type = proto.TrainerSpec.UNIGRAM
    model.trainer_spec.bos_id, model.trainer_spec.pad_id = BOS, PAD
    model.trainer_spec.eos_id, model.trainer_spec.unk_id = EOS, UNKNOWN
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.remove_extra_whitespaces = False
    (folder / _MODEL).write_bytes(model.SerializeToString())
    (folder / _REPLACEMENTS).write_text(json.dumps(replacements), encoding="utf-8")


class UnigramTokeniser:
    """Calls take (text, is_query) and put `query_prefix` or `passage_prefix` before the text.

    limit: most tokens of a text, with the two special ones.
    """

    def __init__(self, folder: Path, *, query_prefix: str, passage_prefix: str, limit: int) -> None:
        from sentencepiece import SentencePieceProcessor

        self._pieces = SentencePieceProcessor(model_file=str(folder / _MODEL))
        self._replacements: dict[str, str] = json.loads((folder / _REPLACEMENTS).read_text(encoding="utf-8"))
        self._prefixes = {True: query_prefix, False: passage_prefix}
        self._limit = limit

    def __call__(self, text: str, is_query: bool) -> Tokens:
        prefix = self._prefixes[is_query]
        seen, origins = self._normalise(prefix + text[: self._limit * _CHARACTERS_PER_TOKEN])
        ids, starts, ends = [BOS], [0], [0]
        position = -1  # SentencePiece puts a space before the text
        for number, piece in zip(
            self._pieces.encode(seen), self._pieces.encode(seen, out_type=str), strict=True
        ):
            # Unknown characters come as one run; the model is given each.
            for part in piece if number == UNKNOWN else (piece,):
                ids.append(number)
                starts.append(position + (len(part) > 1 and part[0] == "▁"))
                position += len(part)
                ends.append(position)
        del ids[self._limit - 1 :]
        ids.append(EOS)
        spans = np.stack(
            [origins[starts[1 : len(ids) - 1]], origins[np.array(ends[1 : len(ids) - 1]) - 1] + 1], 1
        )
        spans -= len(prefix)
        own = np.zeros(len(ids), np.bool_)
        own[1:-1] = spans[:, 1] > 0
        return Tokens(np.array(ids, np.int32), own, spans[own[1:-1]])

    def ids(self, text: str) -> list[int]:
        """Of the text alone: no prefix, no special tokens, not cut; unknown letters in a row are one."""
        encoded: list[int] = self._pieces.encode(self._normalise(text)[0])
        return encoded

    def _normalise(self, text: str) -> tuple[str, NDArray[np.int32]]:
        """The text as the vocabulary spells it, and which character of `text` each of its characters was."""
        parts = [self._replacements.get(character, character) for character in text]
        origins = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts])
        codes = np.frombuffer("".join(parts).encode("utf-32-le"), np.uint32)
        kept = np.ones(len(codes), np.bool_)
        kept[1:] = (codes[1:] != _SPACE) | (codes[:-1] != _SPACE)
        return codes[kept].tobytes().decode("utf-32-le"), origins[kept]
