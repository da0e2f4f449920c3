"""From a model's finished text to citations: where each mark points, and what nothing supports."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from engine.answering.marks import normalise_marks
from engine.answering.model import Citation
from engine.answering.overlap import Overlap, names, spelled_numbers, words
from engine.answering.statements import Statement, find_statements
from engine.retrieval.model import Candidate
from engine.text.languages import UNKNOWN, detect_language
from engine.text.normalisation import fold_diacritics
from engine.text.numbers import numbers
from engine.text.sentences import split_sentences

# Measured on questions joined with their answers, as stand-ins for paraphrases, in xquad-en, xquad-vi
# and squad2-en: with the right passage cited 10, 6 and 12 % are found unsupported (most of them name
# what it does not), with another of the same article 98, 91 and 98 %; of its own sentences none.
SUPPORT_THRESHOLD = 0.4

_SHORT = 4  # a statement of fewer words is read together with the question
_NOT_SAID = re.compile(r"[:?？：]\W*\Z")


@dataclass(frozen=True, slots=True)
class Resolved:
    """An answer's text with its marks brought to [n] and resolved.

    citations: distinct, by number and then in the order of the text; a number that several
        sentences cite has one Citation for each place meant.
    unsupported: sentences of `text`, verbatim, that state something and that their sources
        do not support.
    removed: marks that pointed nowhere.
    """

    text: str
    citations: tuple[Citation, ...]
    unsupported: tuple[str, ...]
    removed: int


def resolve_citations(text: str, sources: Sequence[Candidate], question: str = "") -> Resolved:
    """Find for every cited sentence the place in its source that supports it best.

    Words are weighed by rarity and compared without diacritics; numbers must occur in a cited
    source and names in some source. A sentence without a mark may stand on the marks of its
    paragraph. Across languages only numbers and names are compared.
    """
    text, removed = normalise_marks(text, len(sources))
    statements = find_statements(text)
    judge = _Judge(sources, detect_language(" ".join(s.plain for s in statements)), question)
    citations: dict[tuple[int, int, int], Citation] = {}
    for statement in statements:
        for number in dict.fromkeys(statement.numbers):
            start, end = judge.place(statement.plain, number)
            citation = Citation(number, sources[number - 1].passage, start, end)
            citations.setdefault((number, start, end), citation)
    return Resolved(
        text,
        tuple(sorted(citations.values(), key=lambda citation: citation.number)),
        tuple(dict.fromkeys(text[s.start : s.end] for s in statements if not judge.supports(s))),
        removed,
    )


class _Source:
    """A source as words, split into sentences."""

    def __init__(self, candidate: Candidate) -> None:
        passage = candidate.passage
        self.text = passage.text
        self.around = " \n".join((passage.document_title, passage.heading, passage.context))
        self.language = detect_language(passage.text)
        self.spans = split_sentences(passage.text)
        self.sentences = [words(passage.text[start:end], self.language) for start, end in self.spans]
        self.words = {word for sentence in self.sentences for word in sentence}
        self.words.update(words(self.around, self.language))

    @cached_property
    def numbers(self) -> set[str]:
        text = f"{self.around}\n{self.text}"
        return numbers(text) | spelled_numbers(text)

    @cached_property
    def tokens(self) -> set[str]:
        return _tokens(f"{self.around}\n{self.text}")


class _Judge:
    """Compares statements of one answer with its sources."""

    def __init__(self, sources: Sequence[Candidate], language: str, question: str) -> None:
        self._sources = [_Source(candidate) for candidate in sources]
        self._language = language
        self._question = words(question, language)
        self._overlap = Overlap(s for source in self._sources for s in source.sentences)

    def place(self, plain: str, number: int) -> tuple[int, int]:
        """The sentence of a source that shares most with a statement; all of it if none does."""
        source = self._sources[number - 1]
        wanted = words(plain, self._language)
        if len(wanted) < _SHORT:
            wanted = wanted + self._question
        shares = [self._overlap.share(wanted, sentence) for sentence in source.sentences]
        best = max(shares, default=0.0)
        return source.spans[shares.index(best)] if best > 0 else (0, len(source.text))

    def supports(self, statement: Statement) -> bool:
        """Whether a statement says nothing, or what the sources that it stands on say."""
        wanted = words(statement.plain, self._language)
        stated = numbers(statement.plain)
        says_little = len(wanted) < (4 if self._language == "vi" else 2) and not stated
        if says_little or _NOT_SAID.search(statement.plain):
            return True
        cited = [self._sources[n - 1] for n in dict.fromkeys(statement.numbers or statement.nearby)]
        if not cited or not stated <= set().union(*(source.numbers for source in cited)):
            return False
        if not all(self._known(name) for name in names(statement.plain)):
            return False
        foreign = any(source.language not in (self._language, UNKNOWN) for source in cited)
        return (foreign and self._language != UNKNOWN) or self._share(wanted, cited) >= SUPPORT_THRESHOLD

    def _known(self, name: str) -> bool:
        """Whether a name occurs in any source, "Europe" standing for "European" too."""
        stem = fold_diacritics(name).lower()
        if len(stem) >= 6:
            stem = stem[: max(5, len(stem) - 2)]
            return any(token.startswith(stem) for source in self._sources for token in source.tokens)
        return any(stem in source.tokens for source in self._sources)

    def _share(self, wanted: list[str], cited: list[_Source]) -> float:
        """Mean of what all cited passages share with the statement and what their best sentence does."""
        whole = self._overlap.share(wanted, set().union(*(source.words for source in cited)))
        sentences = (sentence for source in cited for sentence in source.sentences)
        return (whole + max((self._overlap.share(wanted, s) for s in sentences), default=0.0)) / 2


def _tokens(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", fold_diacritics(text).lower()))
