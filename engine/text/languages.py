"""Which language a text is in: Vietnamese and English by their own marks, others by py3langid."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from engine.text.normalisation import fold_diacritics

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

UNKNOWN = "und"

_SAMPLE = 4_000  # characters looked at; more changes no decision
_WORD = re.compile(r"[^\W\d_]+")
_SURE = 0.5  # least confidence at which py3langid is believed
_MIN_LETTERS = 20  # shorter texts say too little for py3langid
_OTHERS = (
    "ar bg bn ca cs da de el en es et fa fi fr gl he hi hr hu id is it ja ka km ko lo lt lv "
    "mk mn ms my ne nl no pl pt ro ru sk sl sq sr sv ta te th tl tr uk ur vi zh"
).split()

# A Vietnamese syllable without its marks: onset, vowels, coda.
_SYLLABLE = re.compile(
    r"(?:ngh?|nh|gh|gi|kh|ph|qu|th|tr|ch|[bcdghklmnprstvx])?"
    r"(?:uye|uya|uyu|oai|oay|oeo|uay|ieu|yeu|uoi|uou|uo|ai|ao|au|ay|eo|eu|ia|ie|iu|oa|oe|oi|oo|"
    r"ua|ue|ui|uu|uy|ya|ye|[aeiouy])"
    r"(?:ch|nh|ng|[cmnpt])?"
)
_SPECIFIC = re.compile("[ăđơưĂĐƠƯ\u1ea0-\u1ef9]")
_ENGLISH = frozenset(
    "a about after all also and any are as at be been between both but by can could did does for from "
    "had has have he her his how if in into is it its many may more most much not of on only or other "
    "our she should so some such than that the their them then there these they this those to under was "
    "we were what when where which while who whom whose why will with would you your".split()
)
# Common English words that are also the shape of a Vietnamese syllable; they decide nothing.
_EITHER = frozenset(
    "am an at ban bat be bet bin bit boat boom boot but buy by can cap cat chain chap chat chin chip "
    "chop coat coin con cop cup cut day den die diet din dip do dot due get go goat going gun gut gym "
    "he hen him hip hit hop hot hum hung hut in it kin king kit lay let lie lip lit loan long loop loot "
    "lot lung main man map mat may me men met mom moon mop much my nap net no non noon not nun nut on "
    "pain pan pay pen pet pie pin pit pop pot pun put rain ran rat ray re rich ring rip room root run "
    "sat say set sin sing sip sit so soap son song soon such suit sum sun sung tap ten than that the "
    "them then thin thing tie tin tip to ton too top train trap trim trip true try up van vet via yet".split()
)


def detect_language(text: str) -> str:
    """ISO 639-1 code of the text's language, "und" where it cannot be told.

    Vietnamese is told by syllables that carry marks, English by its function words; only
    other texts load py3langid's model (0.7 s and 80 MB, once).
    """
    return _language_of(text[:_SAMPLE])


@lru_cache(512)  # each part of an answer asks it of the question
def _language_of(text: str) -> str:
    words = [w.lower() for w in _WORD.findall(text)]
    if not words:
        return UNKNOWN
    vietnamese = _vietnamese_share(words)
    english = sum(w in _ENGLISH for w in words) / len(words)
    if (vietnamese >= 0.2 and vietnamese > english) or is_undiacritic_vietnamese(text):
        return "vi"
    if english >= 0.15 and len(words) >= 3:
        return "en"
    if sum(map(len, words)) < _MIN_LETTERS and text.isascii():
        return UNKNOWN
    language, confidence = _identifier().classify(text)
    return str(language) if confidence >= _SURE else UNKNOWN


def differ(one: str, other: str) -> bool:
    """Whether two texts of these languages are in different ones, as far as it can be told."""
    return one != other and UNKNOWN not in (one, other)


def prepare() -> None:
    """Load py3langid's model now. Blocking; a server does it before its first question, in a thread."""
    _identifier()


@lru_cache(512)
def is_undiacritic_vietnamese(question: str) -> bool:
    """Whether this is Vietnamese typed without its marks ("luat dau thau quy dinh gi").

    Told by the shape of its syllables. Strict: a marked Vietnamese letter rules it out, and
    an English function word that Vietnamese cannot spell outweighs three syllables.
    """
    if _SPECIFIC.search(unicodedata.normalize("NFC", question)):
        return False
    words = [w for w in _WORD.findall(question) if len(w) > 1 and w.isascii()]
    shaped = [bool(_SYLLABLE.fullmatch(w.lower())) for w in words]
    vietnamese = sum(fits and w.lower() not in _EITHER for w, fits in zip(words, shaped, strict=True))
    names = sum(w[0].isupper() and not fits for w, fits in zip(words, shaped, strict=True))
    english = sum(w.lower() in _ENGLISH and not fits for w, fits in zip(words, shaped, strict=True))
    return (
        vietnamese >= max(2, 0.4 * (len(words) - names))
        and sum(shaped) >= 0.6 * (len(words) - names)
        and vietnamese >= 4 * english
    )


def _vietnamese_share(words: list[str]) -> float:
    """Share of words that are Vietnamese syllables with a mark; 0 if no letter is Vietnamese only."""
    if not any(_SPECIFIC.search(w) for w in words):
        return 0.0
    marked = sum(not w.isascii() and bool(_SYLLABLE.fullmatch(fold_diacritics(w))) for w in words)
    return marked / len(words)


@cache
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # imported late: most texts never need it

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(_OTHERS)
    return identifier
