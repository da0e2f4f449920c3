"""Numbers that a question names: what answers it names them too, and vectors hardly tell them apart."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.documents.model import Passage
from engine.documents.preface import preface
from engine.text.numbers import numbers


def numbers_held(question: str, passages: Sequence[Passage]) -> NDArray[np.float32]:
    """Share of the question's numbers that each passage holds: (passages,), 1 where there are none to hold.

    Those of a passage's headings and of its document's title count as held.
    """
    asked = numbers(question)
    if not asked:
        return np.ones(len(passages), np.float32)
    return np.array(
        [
            len(asked & _numbers(p.text, p.heading, p.context, p.document_title)) / len(asked)
            for p in passages
        ],
        np.float32,
    )


@lru_cache(2048)  # the same passages are found again and again
def _numbers(text: str, heading: str, context: str, title: str) -> frozenset[str]:
    return frozenset(numbers(f"{preface(text, heading, context, title)}\n{text}"))
