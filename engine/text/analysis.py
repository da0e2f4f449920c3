"""From text to the terms that BM25 counts; the same for passages and questions.

Terms are lower case. ASCII words are reduced to their stem (Snowball English) in every
language, so that an English name in a Vietnamese text is found by either; Vietnamese syllables
keep their marks. Numbers lose their thousands separators; a compound such as 57/2024/QH15
gives itself, what it begins with (57/2024) and its parts.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import Stemmer

from engine.text.languages import detect_language, is_undiacritic_vietnamese
from engine.text.normalisation import fold_diacritics

# Numbers with separators, document numbers, then words; apostrophes inside words are kept for now.
_TOKEN = re.compile(r"\w+(?:[./]\w+)*(?:-\w+)*(?:['’]\w+)?")
_WORD = re.compile(r"\w+")
# 1.000.000 and 1,234.5: thousands by one separator, decimals by the other.
_NUMBER = re.compile(
    r"(?<![\w.,])(?:\d{1,3}(?:(\.)\d{3})+(?:,\d+)?|\d{1,3}(?:(,)\d{3})+(?:\.\d+)?|\d+,\d+)(?![.,]?\d)"
)
_INITIALS = re.compile(r"\b[^\W\d_]\.(?:[^\W\d_]\.)+")
_COMPOUND = re.compile(r"\d+(?:\.\d+)+[a-z]?|\d+(?:/[\w]+)+(?:-\w+)*")
_POSSESSIVE = re.compile(r"['’]s?$")
_LONGEST = 64  # characters of a term; longer runs (base64, URLs) are cut

# Lucene's and NLTK's common core: function words only, no word that names a thing.
_ENGLISH_STOP_WORDS = frozenset(
    "a about after all also am an and any are as at be because been before being between both but by "
    "can could did do does doing during each few for from further had has have having he her here hers "
    "herself him himself his how i if in into is it its itself just me more most my myself no nor not "
    "now of off on once only or other our ours ourselves out over own same she should so some such than "
    "that the their theirs them themselves then there these they this those through to too under until "
    "up very was we were what when where which while who whom whose why will with would you your yours "
    "yourself yourselves".split()
)
# "hoà" and "hòa", "thuý" and "thúy" are one word: the mark goes to the first vowel, as most type it.
_TONE = re.compile(r"(o[aàáảãạeèéẻẽẹ]|(?<!q)u[yỳýỷỹỵ])\b")
_OLD_STYLE = {
    new: old
    for news, olds in (
        ("oà oá oả oã oạ", "òa óa ỏa õa ọa"),
        ("oè oé oẻ oẽ oẹ", "òe óe ỏe õe ọe"),
        ("uỳ uý uỷ uỹ uỵ", "ùy úy ủy ũy ụy"),
    )
    for new, old in zip(news.split(), olds.split(), strict=True)
}
_stemmers = threading.local()


@dataclass(frozen=True, slots=True)
class QuestionTerms:
    """What a question asks BM25 for.

    terms: distinct, in order of first appearance.
    fold: the question is Vietnamese typed without marks; its terms have none and match every
        indexed term whose `fold_term` equals them.
    """

    terms: tuple[str, ...]
    fold: bool


def analyse(text: str, language: str) -> list[str]:
    """Terms of `text` in order, repetitions kept.

    language: ISO 639-1 or "und"; English stop words are dropped unless it is "vi", where
    words such as "an" or "do" mean something else.
    """
    terms: list[str] = []
    for token in _TOKEN.findall(_canonical(text)):
        if token.isalpha():
            terms.append(token)
        else:
            terms.extend(_split(token))
    if language != "vi":
        terms = [t for t in terms if t not in _ENGLISH_STOP_WORDS]
    return _stem([t[:_LONGEST] for t in terms])


@lru_cache(512)  # each part of an answer asks it again
def analyse_question(text: str) -> QuestionTerms:
    """Terms of a question; its language is found here."""
    fold = is_undiacritic_vietnamese(text)
    language = "vi" if fold else detect_language(text)
    terms = analyse(text, language)
    return QuestionTerms(
        tuple(dict.fromkeys(fold_term(t) for t in terms) if fold else dict.fromkeys(terms)), fold
    )


@lru_cache(65_536)  # a language has few words
def fold_term(term: str) -> str:
    """The form under which an indexed term is found by a question without marks."""
    return term if term.isascii() else _stem([fold_diacritics(term)])[0]


def _canonical(text: str) -> str:
    """Compatibility forms and case resolved; one way to write numbers, initials and tone marks."""
    text = unicodedata.normalize("NFKC", text).lower().replace("ð", "đ").replace("_", " ")
    if not text.isascii():
        text = _TONE.sub(lambda match: _OLD_STYLE.get(match[0], match[0]), text)
    text = _INITIALS.sub(lambda match: match[0].replace(".", "") + " ", text)
    return _NUMBER.sub(
        lambda match: match[0].replace(match[1] or match[2] or " ", "").replace(",", "."), text
    )


def _split(token: str) -> list[str]:
    """Terms of a token that is not purely letters."""
    token = _POSSESSIVE.sub("", token)
    parts = _WORD.findall(token)
    if len(parts) < 2 or not _COMPOUND.fullmatch(token):
        return parts
    prefixes = [token[: match.start()] for match in re.finditer(r"[/-]", token)][1:]
    return [token, *prefixes, *(parts if "/" in token else ())]


def _stem(terms: list[str]) -> list[str]:
    return [_stem_of(t) if t.isascii() else t for t in terms]


@lru_cache(65_536)
def _stem_of(word: str) -> str:
    # A Snowball stemmer holds state, so each thread has its own.
    stemmer = getattr(_stemmers, "english", None)
    if stemmer is None:
        stemmer = _stemmers.english = Stemmer.Stemmer("english")
    return str(stemmer.stemWord(word))
