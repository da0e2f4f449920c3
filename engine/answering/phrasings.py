"""Other ways to ask a question, for the modes that search several times."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from engine.answering.model import Mode
from engine.answering.prompts import phrasing_messages
from engine.errors import LanguageModelUnavailable
from engine.text.normalisation import normalise_question

if TYPE_CHECKING:
    from engine.answering.language_model import LanguageModel

TIMEOUT = 8.0  # seconds; a later answer is worth less than a question searched as it is

_OTHERS = 3
_PARTS = 3
_LONGEST = 300  # characters of a phrasing
_LONGEST_PASSAGE = 800
_NUMBERING = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.):])\s+")


@dataclass(frozen=True, slots=True)
class Phrasings:
    """What to search for.

    questions: the question itself first, then other phrasings and sub-questions, distinct.
    hypothetical: a passage as the answering document might have it, to be searched for by
        its vector (HyDE: Gao et al. 2022, arXiv:2212.10496); empty unless thorough.
    notice: why there are no others although the mode asks for them; usually empty.
    """

    questions: tuple[str, ...]
    hypothetical: str = ""
    notice: str = ""

    @property
    def others(self) -> tuple[str, ...]:
        """All that is searched for beside the question itself."""
        return self.questions[1:] + ((self.hypothetical,) if self.hypothetical else ())


class _Balanced(BaseModel):
    model_config = ConfigDict(extra="forbid")
    phrasings: list[str]


class _Thorough(_Balanced):
    parts: list[str]
    hypothetical: str


async def phrase(question: str, mode: Mode, language_model: LanguageModel | None) -> Phrasings:
    """The phrasings that a mode searches for; at most one call, never an error.

    fast: the question alone. balanced: up to 3 other phrasings. thorough: these, up to 3
    sub-questions and a hypothetical passage. Without an answer in time, the question alone.
    """
    if mode == "fast" or language_model is None:
        return Phrasings((question,))
    messages = phrasing_messages(question, count=_OTHERS, thorough=mode == "thorough")
    try:
        if mode == "balanced":
            others = await language_model.complete(messages, _Balanced, timeout_seconds=TIMEOUT)
            return Phrasings(_distinct(question, others.phrasings[:_OTHERS]))
        thorough = await language_model.complete(messages, _Thorough, timeout_seconds=TIMEOUT)
    except LanguageModelUnavailable as error:
        return Phrasings((question,), notice=f"Only the question itself was searched for. {error.message}")
    return Phrasings(
        _distinct(question, [*thorough.phrasings[:_OTHERS], *thorough.parts[:_PARTS]]),
        normalise_question(thorough.hypothetical)[:_LONGEST_PASSAGE],
    )


def _distinct(question: str, others: Iterable[str]) -> tuple[str, ...]:
    """The question and those of the others that are usable and new."""
    questions = {_key(question): question}
    for other in others:
        clean = normalise_question(_NUMBERING.sub("", other)).strip("\"'“”` ")
        if _key(clean) and len(clean) <= _LONGEST:
            questions.setdefault(_key(clean), clean)
    return tuple(questions.values())


def _key(question: str) -> str:
    return " ".join(re.findall(r"\w+", question.casefold()))
