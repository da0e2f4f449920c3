"""Whether a question points back to what was said before it, by rules for English and Vietnamese.

Ellipsis ("and for consultants?", "Còn với nhà thầu phụ thì sao?"), pronouns with nothing in the
question that they could stand for, and bare question words. Made to miss rather than to mistake.
"""

from __future__ import annotations

import re

from engine.text.languages import detect_language, is_undiacritic_vietnamese
from engine.text.normalisation import fold_diacritics

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")


def refers_back(question: str) -> bool:
    """Whether it cannot be understood without what was asked before."""
    if is_undiacritic_vietnamese(question):
        return _vietnamese(fold_diacritics(question), folded=True)
    if detect_language(question) == "vi":
        return _vietnamese(question, folded=False)
    return _english(question) or (not question.isascii() and _vietnamese(question, folded=False))


def may_refer_back(question: str) -> bool:
    """Whether it is worth asking a language model: short, or with any word that may point back."""
    return refers_back(question) or len(question.split()) <= 5 or bool(_POINTER.search(question))


def other_year(earlier: str, question: str) -> str:
    """`earlier` with its year replaced, where `question` asks only for another; else empty."""
    years, before = set(_YEAR.findall(question)), set(_YEAR.findall(earlier))
    rest = _YEAR.sub(" ", question).lower()
    known = _EN_EMPTY | _VI_EMPTY | _folded(_VI_EMPTY)
    if len(years) != 1 or len(before) != 1 or not set(_WORD.findall(rest)) <= known:
        return ""
    return _YEAR.sub(years.pop(), earlier)


def _folded(words: frozenset[str]) -> frozenset[str]:
    return frozenset(map(fold_diacritics, words))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# --- English ---------------------------------------------------------------------------------

_EN_WH = _words("what which who whom whose when where why how")
_EN_AUXILIARY = _words(
    "is are was were be been am do does did has have had can could will would shall should may might must "
    "isn't aren't wasn't don't doesn't didn't can't won't what's who's how's where's that's it's"
)
_EN_PREPOSITION = _words(
    "for in on at with without under by from to of about after before during within per than as like into "
    "against between among over through outside inside regarding concerning"
)
_EN_BEFORE_NOUNS = _EN_AUXILIARY | _EN_PREPOSITION | _words("a an the my our your")
# Words that name no subject by themselves.
_EN_EMPTY = (
    _EN_WH
    | _EN_AUXILIARY
    | _EN_PREPOSITION
    | _words(
        "a an the and but or so also then too if because not no yes i you we me us my your our it its they "
        "them their he she him his her this that these those there here one ones such same some any all both "
        "each every much many more most less long far often soon early late else other others another again "
        "just only even still now please exactly really ok okay well maybe happen happens happened mean "
        "means meant apply applies applied work works say says said tell give get explain elaborate clarify "
        "summarise summarize rephrase simplify translate expand continue go detail details detailed example "
        "examples shorter longer simpler briefly further exception exceptions reason reasons difference "
        "differences alternative alternatives possible true case cases way thing english vietnamese year "
        "month day time date old big high low need needs take takes cost costs kind kinds type types sort "
        "amount number use used do done think know question answer"
    )
)
_EN_ASKS = _words(
    "explain elaborate clarify summarise summarize rephrase simplify translate expand continue more "
    "details detail detailed example examples shorter longer simpler"
)
_EN_LEAD = re.compile(
    r"^(?:(?:and|but|so|or|also|then|ok|okay|well|now|hmm|right|thanks|thank you)\b[\s,.!]*)+"
)
_EN_ELLIPSIS = re.compile(
    r"^(?:(?:what|how) (?:about|of)|(?:what )?if not|same (?:for|with|in)|likewise|as for|not even)\b"
    r"|\bthe (?:former|latter)\b(?=\s*(?:[?.,]|$|(?:is|was|are|were|one|case|do|does)\b))"
    r"|\b(?:mentioned|said|described|listed) (?:above|before|earlier)\b"
)
# "that" and "this" by themselves, not "the rule that …" nor "this rule".
_EN_THAT = re.compile(
    r"""
    \b(?:is|was|are|were|does|did|do|will|would|can|could|should|has|about|of|after|before|for|with|by|from|to
        |than|like|if|in|on|why|how|where|until)\s+(?:that|this|these|those)\b(?=\s*(?:[?.,!]|$|(?:be|is|was
        |means?|appl(?:y|ies)|works?|happens?|includes?|requires?|changes?|differ|different|true|possible|required
        |allowed|enough|valid|necessary|cost|take|count|also|still|only|always|mandatory|correct|legal|affect|for
        |in|to|under|the)\b))
    |^(?:that|this)\b(?=\s*(?:[?.,!]|$|one|too|is|means|also))
    """,
    re.VERBOSE,
)
_EN_THIS_NOUN = re.compile(
    r"""
    \b(?:this|these|those)\s+(?!year|month|week|day|time|morning|century|season|era|is|are|was|were|who|that|of|at
        |in|from|with|for|on|to|under|\w+ing\b|responsible|needed|required)[a-z]+
    |\bthat\s+(?:case|rule|law|article|document|period|deadline|amount|section|requirement|condition|fee|date
        |point|step|person|company|plan|one|clause|decision|event|place|word|term|process)\b
    """,
    re.VERBOSE,
)
_EN_PRONOUN = re.compile(
    r"\b(it|they|them|he|she|him|its|their|his|her|the same|such)\b"
    r"|(?<!that )(?<!this )\b(one)\b(?=\s*[?.!]*$)"
)
_EN_POSSESSIVE = frozenset({"its", "their", "his", "her"})
_EN_EXPLETIVE = re.compile(
    r"""
    \bit(?=\s+(?:from|to)\b)(?P<place>.*)
    |\bit(?:\s+(?:be|is))?\s+(?:possible|required|necessary|allowed|legal|illegal|mandatory|permitted|ok|okay|true
        |safe|important|better|best|takes?|took|likely|acceptable|costs?|hard|easy|difficult|good|bad|wrong|right
        |common|advisable|recommended|called|said|believed|known|thought|means?)\b
        [^?]*?\b(?:to|that|if|whether|when)\s+(?P<rest>.*)
    """,
    re.VERBOSE,
)
_EN_ELSE = re.compile(r"\b(?:what|who|where|which|anything|something|anyone|how) else\b")
_EN_THERE = re.compile(r"\b(?:get|go|live|lived|stay|stayed|happened|from|in|up)\s+there\b\s*(?:[?.!]|$)")


def _english(question: str) -> bool:
    lower = re.sub(r"\bIT\b", "informatics", question).lower().replace("’", "'").strip()
    rest = _EN_LEAD.sub("", lower).strip()
    led = len(rest) < len(lower) and bool(rest)
    asked = rest.endswith("?")
    words = _WORD.findall(rest)
    if not words:
        return bool(_WORD.search(lower)) and lower.endswith("?")
    content = [w for w in words if w not in _EN_EMPTY]
    if _EN_ELLIPSIS.search(rest) or _EN_THERE.search(rest) or (_EN_ELSE.search(rest) and len(content) <= 2):
        return True
    if not content:
        return asked or words[0] in _EN_WH or not _EN_ASKS.isdisjoint(words)
    if _EN_WH.isdisjoint(words) and _EN_AUXILIARY.isdisjoint(words):
        short = len(words) <= 6
        if words[0] in _EN_PREPOSITION and short and (asked or led):
            return True
        if (led and asked and short) or (asked and len(words) <= 3):
            return True
    elif led and len(content) <= 1:
        return True
    return bool(_EN_THAT.search(rest) or _EN_THIS_NOUN.search(rest)) or _pronoun_without_antecedent(rest)


def _pronoun_without_antecedent(rest: str) -> bool:
    found = _EN_PRONOUN.search(rest)
    if not found:
        return False
    expletive = _EN_EXPLETIVE.search(rest)
    if expletive and not set(_WORD.findall(expletive["place"] or expletive["rest"])) <= _EN_EMPTY:
        return False
    before = _WORD.findall(rest[: found.start()])
    at = [n for n, word in enumerate(before) if word not in _EN_EMPTY]
    if not at:
        return True
    # One word that is no subject can only be a verb: "who signs it?", "how do I submit it?".
    subject = at[0] > 0 and before[at[0] - 1] in _EN_BEFORE_NOUNS
    return len(at) == 1 and not subject and found[1] not in _EN_POSSESSIVE


# --- Vietnamese ------------------------------------------------------------------------------

_VI_QUESTION = _words("gì nào ai đâu sao mấy bao không chưa hả nhỉ hay")
_VI_EMPTY = _VI_QUESTION | _words(
    "nhiêu lâu giờ xa thế vậy như là và còn với đối cho trong theo từ sau trước ở tại bằng về của khi thì "
    "mà nhưng rồi nữa có được phải bị cần nên sẽ đã đang vẫn cũng chỉ lại đó này ấy kia nó họ chúng các "
    "những một mọi mỗi vì do để hơn rõ thêm giải thích nói cụ thể chi tiết ví dụ tóm tắt dịch ngắn gọn lý "
    "xin hãy vui lòng tôi em anh bạn mình năm ngày tháng trường hợp khác ngoại lệ ra đến nếu thực sự à ừ "
    "dạ vâng ok điều việc cái quy định áp dụng khoảng đúng phần tiếng anh việt hiểu biết"
)
_VI_ASKS = _words("giải rõ cụ chi ví tóm dịch ngắn")
_VI_LEAD = re.compile(
    r"^(?:(?:thế còn|vậy còn|thế thì|vậy thì|còn|thế(?!\s+nào)|vậy|và|nhưng|rồi|à|ừ|dạ|vâng|ok)\b[\s,.]*)+"
)
_VI_THEN_WHAT = re.compile(r"\bthì sao\s*[?.!]*$")
_VI_CONDITION = re.compile(r"^(?:nếu|khi|giả sử|trường hợp)\b")
_VI_PREPOSITION = _words("với đối cho trong theo từ sau trước ở tại bằng về năm")
_VI_PRONOUN = re.compile(
    r"""
    \bnó\b|\b(?:ông|bà|anh|cô|hắn)\ (?:ấy|ta)\b
    |(?<!công\ )(?<!quần\ )(?<!dân\ )(?<!đại\ )\bchúng\b(?!\s+(?:ta|tôi|em|mình|sinh))
    |(?<!dòng\ )(?<!tên\ )\bhọ\b(?!\s+(?:tên|và|hàng|hành|đệm|của))
    """,
    re.VERBOSE,
)
_VI_THIS = re.compile(
    r"""
    (?<!ngày\ )(?<!năm\ )(?<!tháng\ )(?<!sau\ )(?<!hiện\ )(?<!mùa\ )(?<!tuần\ )(?<!lần\ )\bnày\b
    |\bnhư\ (?:vậy|thế)(?!\s+nào)\s*[?.!]*$
    |\b(?:nói\ trên|nêu\ trên|kể\ trên|vừa\ nêu|vừa\ nói|ở\ trên)\b
    """,
    re.VERBOSE,
)
_VI_THAT = re.compile(
    r"""
    ^(?:sau|trước|khi|lúc)\ đó\b
    |(?<!sau\ )(?<!trước\ )(?<!trong\ )(?<!do\ )(?<!từ\ )(?<!theo\ )(?<!nhờ\ )(?<!cạnh\ )(?<!nào\ )
        \b(?:đó|ấy)\b
    """,
    re.VERBOSE,
)
# Without marks "đó" and "này" look like other words: only after nouns that they often follow.
_VI_FOLDED_THAT = re.compile(
    r"\b(?:dieu|viec|cai|quy dinh|truong hop|luat|khoan|van ban|tai lieu|thoi han|muc) (?:nay|do)\b"
    r"|\bnhu vay\s*[?.!]*$"
)


def _vietnamese(question: str, *, folded: bool) -> bool:
    def fold(words: frozenset[str]) -> frozenset[str]:
        return _folded(words) if folded else words

    def matching(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
        return re.compile(fold_diacritics(pattern.pattern)).search(text) if folded else pattern.search(text)

    lower = question.lower().strip()
    lead = matching(_VI_LEAD, lower)
    rest = lower[lead.end() :].strip() if lead else lower
    asked = lower.endswith("?")
    words = _WORD.findall(rest)
    if not words:
        return bool(lead) and asked
    empty = fold(_VI_EMPTY)
    content = [w for w in words if w not in empty]
    asking = not fold(_VI_QUESTION).isdisjoint(words)
    if matching(_VI_THEN_WHAT, rest):
        conditional = matching(_VI_CONDITION, rest)
        return len(words) <= 5 if conditional else bool(lead) or len(words) <= 7
    if not content:
        return asking or not fold(_VI_ASKS).isdisjoint(words)
    if not asking:
        if words[0] in fold(_VI_PREPOSITION) and len(words) <= 6 and (asked or lead):
            return True
        if (lead and asked and len(words) <= 8) or (asked and len(words) <= 3):
            return True
    elif lead and len(content) <= 2:
        return True
    if folded:
        found = _VI_FOLDED_THAT.search(rest)
        return found is not None and sum(w not in empty for w in _WORD.findall(rest[: found.start()])) <= 3
    return bool(_VI_THIS.search(rest)) or any(
        sum(w not in empty for w in _WORD.findall(rest[: found.start()])) <= most
        for pattern, most in ((_VI_PRONOUN, 1), (_VI_THAT, 3))
        if (found := pattern.search(rest))
    )


_POINTER = re.compile(
    r"\b(?:it|its|they|them|their|he|she|him|his|her|this|that|these|those|there|then|one|such|same|else|above"
    r"|others?|another|nó|họ|chúng|này|đó|ấy|kia|vậy|trên|khác|còn)\b",
    re.IGNORECASE,
)
