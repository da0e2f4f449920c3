"""What a document seems to be: title, language, dates, status. Guesses, to be corrected by people.

Nothing is guessed from less than a plain statement of the document itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from engine.documents.model import Block, Metadata, ParsedDocument, Status
from engine.text.languages import detect_language
from engine.text.normalisation import fold_diacritics, normalise

_HEAD = 40  # blocks in which a document introduces itself
_COVER = 12  # blocks in which a bare date is the document's own
_MAX_TITLE = 200  # characters
_OPENING = 80
_SEEN = 1_000  # characters of a block that are looked at; what introduces a document is shorter
_LANGUAGE_SAMPLE = 20_000  # characters, from its start, its middle and its end

_KINDS = {
    "luật": "luật", "bộ luật": "luật", "nghị định": "nghị định", "thông tư": "thông tư",
    "thông tư liên tịch": "thông tư", "quyết định": "quyết định", "nghị quyết": "nghị quyết",
    "chỉ thị": "chỉ thị", "pháp lệnh": "pháp lệnh", "công văn": "công văn", "thông báo": "thông báo",
    "văn bản hợp nhất": "văn bản hợp nhất",
}  # fmt: skip
_ENGLISH_KINDS = ("manual", "standard", "handbook", "policy", "contract", "guide")
_FORM = re.compile(r"(?:mẫu|biểu)(?: mẫu)? số \S+", re.IGNORECASE)
_NUMBER = re.compile(r"(?:số\s*:?\s*)(\d+[a-z]?/(?:\d{4}/)?[A-ZĐ0-9][\w&-]*(?:-\w+)*)", re.IGNORECASE)
_CONSOLIDATED = re.compile(r"\d+/VBHN-\w+")
_LAW_NAMES = re.compile(r"\b(luật|bộ luật|hiến pháp|nghị định|thông tư)\s+(\w)", re.IGNORECASE)
_PREAMBLE = re.compile(
    r"^(?:căn cứ|theo đề nghị|xét đề nghị|quốc hội ban hành|chính phủ ban hành)", re.IGNORECASE
)
_OFFICE = re.compile(
    r"^(?:bộ trưởng|chính phủ|quốc hội|thủ tướng|ủy ban|uỷ ban|chủ tịch|tổng giám đốc|giám đốc)\b",
    re.IGNORECASE,
)

_DAY = r"ngày\s+(\d{1,2})\s+tháng\s+(\d{1,2})\s+năm\s+(\d{4})"
_DAY_SHORT = r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})"
_ISSUED = re.compile(rf"^[^\d,;:.]{{2,40}},\s*{_DAY}\s*$", re.IGNORECASE)
_PASSED = re.compile(rf"thông qua\s+{_DAY}", re.IGNORECASE)
_IN_FORCE = re.compile(
    r"(?:(?<!ngày )(?:bộ luật|luật|nghị định|thông tư|quyết định|nghị quyết|văn bản|quy định|quy chế|nội quy|"
    r"chính sách)\s+này\s+|^\(?)có\s+hiệu\s+lực(?:\s+thi\s+hành)?,?\s+(?:kể\s+)?(?:từ\s+)?"
    rf"(?:{_DAY}|ngày\s+{_DAY_SHORT}|(?P<signed>ngày\s+(?:ký|ban hành)))",
    re.IGNORECASE,
)
_CONSOLIDATED_FORCE = re.compile(rf"có hiệu lực (?:thi hành )?(?:kể )?từ {_DAY}", re.IGNORECASE)

_MONTHS = {
    name: number
    for number, names in enumerate(
        ("january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
         "september sep sept", "october oct", "november nov", "december dec"), 1)
    for name in names.split()
}  # fmt: skip
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_NTH = r"(\d{1,2})(?:st|nd|rd|th)?"
_ENGLISH_DAY = (
    rf"(?:({_MONTH})\.?\s+{_NTH},?\s+(\d{{4}})|{_NTH}\s+({_MONTH})\.?,?\s+(\d{{4}})|(\d{{4}})-(\d\d)-(\d\d))"
)
_BARE_DAY = re.compile(rf"^(?:(?:date|dated|as of)\s*:?\s*)?{_ENGLISH_DAY}$", re.IGNORECASE)
_PUBLISHED = re.compile(
    rf"\b(?:publication date|date of publication|published(?: on)?|issued(?: on)?|issue date|release date|"
    rf"released on|last updated(?: on)?|date)\s*:?\s*{_ENGLISH_DAY}",
    re.IGNORECASE,
)
_EFFECTIVE = re.compile(
    rf"\b(?:effective(?: date| from| as of| on)?|takes? effect(?: on)?|in force (?:from|as of)|"
    rf"comes? into (?:force|effect) on|valid from)\s*:?\s*{_ENGLISH_DAY}",
    re.IGNORECASE,
)
_DRAFT = re.compile(
    r"(?:bản\s+)?dự thảo(?:\s+(?:lần\s+(?:thứ\s+)?)?\S{1,6})?|draft(?:\s+(?:version|v)?\s*[\d.]+)?",
    re.IGNORECASE,
)
_DRAFT_TITLE = re.compile(r"^\W*(?:DỰ THẢO|DRAFT)\b|[\[(](?:dự thảo|draft)[\])]", re.IGNORECASE)

# Titles that programs make up.
_POOR_TITLE = re.compile(
    r"(?i)^(?:microsoft (?:word|powerpoint|excel)\b.*|powerpoint presentation|no title|"
    r"(?:document|untitled|presentation|slide|book|sheet|doc|new|tài liệu|phụ lục)[\s_-]*\d*|"
    r".*\.(?:docx?|xlsx?|pptx?|pdf|odt|indd|qxd|tex|dvi|html?))$"
)


def guess_metadata(parsed: ParsedDocument, file_name: str) -> Metadata:
    """Title, language, dates, status and tags as the document itself tells them.

    The title always says something (in the end, the file's name); dates and tags are left
    out rather than guessed.
    """
    head = [replace(block, text=block.text[:_SEEN]) for block in parsed.blocks[:_HEAD]]
    form = _form_title(head)
    kind, official = ("", "") if form else _official_title(head)
    title = form or official or _title(parsed, head, file_name)
    published = _published_on(parsed, head)
    return Metadata(
        title=title,
        language=detect_language(_sample(parsed.blocks)),
        status=_status(head, title),
        published_on=published,
        effective_on=_effective_on(parsed, published, consolidated=kind == "văn bản hợp nhất"),
        tags=_tags(kind, title),
    )


def opening(text: str) -> str:
    """The first words of a text that has no title, as they stand there: up to 80 characters of one line."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= _OPENING else line[:_OPENING].rsplit(maxsplit=1)[0]


def _sample(blocks: Sequence[Block]) -> str:
    """Text from all over a document, since a cover may be in another language."""
    middle = len(blocks) // 2
    parts: list[str] = []
    for part in (blocks[middle:], blocks[:middle]):
        size = 0
        for block in part:
            parts.append(block.text)
            size += len(block.text)
            if size > _LANGUAGE_SAMPLE // 2:
                break
    return "\n".join(parts)


# --- title ---


def _official_title(head: Sequence[Block]) -> tuple[str, str]:
    """Kind and title of a Vietnamese official text; empty if it is none."""
    texts = [_unruled(block.text) for block in head]
    until = next((i for i, text in enumerate(texts) if _PREAMBLE.match(text)), len(texts))
    number = next((match[1] for text in texts[:until] if (match := _NUMBER.match(_after_kind(text)))), "")
    if consolidated := next((m[0] for t in texts[: until + 5] if (m := _CONSOLIDATED.search(t))), ""):
        subject = next(
            (m[1] for t in texts if (m := re.search(r"hợp nhất (luật [^\d]+)", t, re.IGNORECASE))), ""
        )
        named = _sentence_case(subject.strip()) if subject else ""
        return "văn bản hợp nhất", " ".join(filter(None, ("Văn bản hợp nhất", named, f"số {consolidated}")))
    for index, text in enumerate(texts[:until]):
        kind = text.lower().strip(" :")
        if kind in _KINDS and text.isupper() and index + 1 < until:
            subject = _subject(texts[index + 1 : until])
            if subject:
                return _KINDS[kind], _compose(kind, number, subject)
    return "", ""


def _after_kind(text: str) -> str:
    """ "Luật số: 22/2023/QH15" from its number on."""
    match = re.search(r"\bsố\s*:?\s*\d", text, re.IGNORECASE)
    return text[match.start() :] if match else ""


def _subject(lines: Sequence[str]) -> str:
    """What an official text is about: the lines under its kind, up to the office that issues it."""
    taken: list[str] = []
    for line in lines[:4]:
        if (_OFFICE.match(line) and line.isupper()) or line.startswith("(") or not re.search(r"[^\W_]", line):
            break
        taken.append(line)
    return _sentence_case(" ".join(taken))


def _compose(kind: str, number: str, subject: str) -> str:
    numbered = f" số {number}" if number else ""
    if kind in ("luật", "bộ luật"):
        named = f"{kind.capitalize()} {_lower_first(subject) if _is_amendment(subject) else subject}"
        return _shorten(named) + numbered
    return _shorten(f"{kind.capitalize()}{numbered} {_lower_first(subject)}")


def _is_amendment(subject: str) -> bool:
    return subject.lower().startswith(("sửa đổi", "quy định", "về "))


def _title(parsed: ParsedDocument, head: Sequence[Block], file_name: str) -> str:
    """Of any other document: its properties, its first heading, its file's name."""
    told = normalise(parsed.title)
    if len(told) >= 4 and not _POOR_TITLE.match(told):
        return _shorten(told)
    first_pages = {None, 1}
    heading = next((b for b in head[:_COVER] if b.kind == "heading" and b.page in first_pages), None)
    # A workbook's first heading is the name of a sheet, one of several.
    if (
        heading is not None
        and len(heading.text) >= 4
        and Path(file_name).suffix.lower() not in (".xlsx", ".xls", ".ods")
    ):
        return _shorten(_sentence_case(heading.text))
    return _cleaned(file_name)


def _form_title(head: Sequence[Block]) -> str:
    """ "MẪU SỐ 3A HỒ SƠ MỜI THẦU" as "Mẫu số 3A Hồ sơ mời thầu"; empty for what is no form."""
    match = _FORM.match(head[0].text) if head else None
    if match is None:
        return ""
    words, _, number = match[0].rpartition(" ")
    rest = _sentence_case(head[0].text[match.end() :].strip())
    return _shorten(f"{words.capitalize()} {number} {rest}".strip())


def _cleaned(file_name: str) -> str:
    """ "bao_cao-dau-thau.xlsx" as "bao cao dau thau"."""
    return normalise(re.sub(r"[_\-+.]+", " ", Path(file_name).stem)) or file_name


def _sentence_case(text: str) -> str:
    """A title in capitals as it is written in a sentence; other titles as they are."""
    letters = [character for character in text if character.isalpha()]
    if not letters or sum(map(str.isupper, letters)) < 0.8 * len(letters):
        return text
    lower = text[:1].upper() + text[1:].lower()
    if detect_language(text) != "vi" and fold_diacritics(text) == text:
        return text.title() if len(text) < 60 else lower
    return _LAW_NAMES.sub(lambda match: f"{match[1].capitalize()} {match[2].upper()}", lower)


def _lower_first(text: str) -> str:
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def _unruled(text: str) -> str:
    return re.sub(r"[\s_=*–—-]{3,}$", "", text)


def _shorten(text: str) -> str:
    text = normalise(text)
    return text if len(text) <= _MAX_TITLE else f"{text[:_MAX_TITLE].rsplit(' ', 1)[0]} …"


# --- dates ---


def _published_on(parsed: ParsedDocument, head: Sequence[Block]) -> date | None:
    for block in head:
        if match := _ISSUED.match(_unruled(block.text)):
            return _vietnamese_date(match.groups())
    for block in parsed.blocks[-_COVER:]:
        if match := _PASSED.search(block.text):
            return _vietnamese_date(match.groups())
    for pattern, blocks in ((_BARE_DAY, head[:_COVER]), (_PUBLISHED, head)):
        for block in blocks:
            if match := pattern.search(block.text):
                return _english_date(match)
    return _property_date(parsed)


def _property_date(parsed: ParsedDocument) -> date | None:
    """Of pages on the web and typeset PDFs; an Office file's own date only tells when it was begun."""
    if parsed.page_count is None and "modified" in parsed.properties:
        return None
    try:
        return date.fromisoformat(parsed.properties.get("created", "")[:10])
    except ValueError:
        return None


def _effective_on(parsed: ParsedDocument, published: date | None, *, consolidated: bool) -> date | None:
    for block in parsed.blocks:
        if "hiệu lực" in block.text and (match := _IN_FORCE.search(block.text)):
            if match["signed"]:
                return published
            groups = match.groups()
            return _vietnamese_date(groups[:3] if groups[0] else groups[3:6])
    if consolidated:
        for block in parsed.blocks[:_HEAD]:
            if match := _CONSOLIDATED_FORCE.search(block.text):
                return _vietnamese_date(match.groups())
    for block in parsed.blocks[:_HEAD]:
        if match := _EFFECTIVE.search(block.text):
            return _english_date(match)
    return None


def _vietnamese_date(groups: Sequence[str | None]) -> date | None:
    day, month, year = (int(group or 0) for group in groups[:3])
    return _date(year, month, day)


def _english_date(match: re.Match[str]) -> date | None:
    month_first, day_1, year_1, day_2, month_second, year_2, year_3, month_3, day_3 = match.groups()[-9:]
    if month_first:
        return _date(int(year_1), _MONTHS[month_first.lower()], int(day_1))
    if month_second:
        return _date(int(year_2), _MONTHS[month_second.lower()], int(day_2))
    return _date(int(year_3), int(month_3), int(day_3))


def _date(year: int, month: int, day: int) -> date | None:
    try:
        found = date(year, month, day)
    except ValueError:
        return None
    return found if 1900 <= year <= 2100 else None


# --- status and tags ---


def _status(head: Sequence[Block], title: str) -> Status:
    marks = (block.text.strip(" []().*") for block in head[:_COVER])
    if any(_DRAFT.fullmatch(mark) for mark in marks) or _DRAFT_TITLE.search(title):
        return "draft"
    return "active"


def _tags(kind: str, title: str) -> tuple[str, ...]:
    if kind:
        return (kind,)
    if _FORM.match(title):
        return ("biểu mẫu",)
    return tuple(_english_kinds(title))[:1]


def _english_kinds(title: str) -> Iterator[str]:
    words = title.lower().split()
    return (kind for kind in _ENGLISH_KINDS if kind in words)
