"""How much of one sentence's words another text shares, weighted by how rare they are."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from engine.text.analysis import analyse, fold_term

_SMALL = {
    word: str(number)
    for words in (
        "one two three four five six seven eight nine ten eleven twelve",
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth",
        "một hai ba bốn năm sáu bảy tám chín mười",
    )
    for number, word in enumerate(words.split(), start=1)
}
_INNER_WORD = re.compile(r"(?<=[\w,;] )[^\W\d_]+")


def words(text: str, language: str) -> list[str]:
    """Terms without diacritics, for comparing texts that may be typed without them."""
    return [fold_term(term) for term in analyse(text, language)]


def spelled_numbers(text: str) -> set[str]:
    """Numbers up to twelve that `text` writes as words."""
    return {_SMALL[word] for word in re.findall(r"\w+", text.lower()) if word in _SMALL}


def names(text: str) -> set[str]:
    """Capitalised words that do not begin a sentence."""
    return {word for word in _INNER_WORD.findall(text) if word[0].isupper() and len(word) > 1}


class Overlap:
    """Word weights learnt from the sentences at hand, and the share of them that is found.

    A word's weight is its inverse document frequency among `sentences`; words in none of
    them weigh most.
    """

    def __init__(self, sentences: Iterable[Sequence[str]]) -> None:
        self._frequency: Counter[str] = Counter()
        self._count = 0
        for sentence in sentences:
            self._frequency.update(set(sentence))
            self._count += 1

    def weight(self, word: str) -> float:
        return math.log1p((self._count + 0.5) / (self._frequency[word] + 0.5))

    def share(self, wanted: Iterable[str], given: Iterable[str]) -> float:
        """Share in [0, 1] of the weight of `wanted` that `given` holds; 0 if nothing is wanted."""
        distinct, held = set(wanted), set(given)
        total = sum(self.weight(word) for word in distinct)
        return sum(self.weight(word) for word in distinct & held) / total if total else 0.0
