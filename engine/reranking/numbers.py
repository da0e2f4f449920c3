"""Numbers that a question names: what answers it names them too, and vectors hardly tell them apart."""

from __future__ import annotations

from collections.abc import Sequence

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
    return np.array([len(asked & _numbers(passage)) / len(asked) for passage in passages], np.float32)


def _numbers(passage: Passage) -> set[str]:
    before = preface(passage.text, passage.heading, passage.context, passage.document_title)
    return numbers(f"{before}\n{passage.text}")
