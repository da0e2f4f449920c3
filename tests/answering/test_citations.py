"""From marks to places in the sources, and what no source supports."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.answering.citations import resolve_citations
from engine.answering.statements import find_statements
from tests.answering.parts import ENGLISH, VIETNAMESE, source


def quotes(text: str, sources: tuple[object, ...] = ENGLISH, question: str = "") -> list[tuple[int, str]]:
    resolved = resolve_citations(text, sources, question)  # type: ignore[arg-type]
    return [(citation.number, citation.quote) for citation in resolved.citations]


def test_a_citation_is_the_sentence_that_supports_the_statement() -> None:
    assert quotes(
        "You must pay a security of 2% of the price [1]. Contracts last at most two years [2]."
    ) == [
        (1, "A bid security of 2% of the price is due."),
        (2, "Their contracts run for two years at most."),
    ]


def test_several_sources_of_one_sentence_are_each_resolved() -> None:
    assert quotes("Bids are valid for 120 days and disputes go to arbitration in Singapore [1][2].") == [
        (1, "Bids stay valid for 120 days."),
        (2, "Disputes go to the arbitration court in Singapore."),
    ]


def test_one_source_cited_for_two_things_has_two_places() -> None:
    assert quotes("Bids stay valid for 120 days [1]. Late bids are returned unopened [1].") == [
        (1, "Bids stay valid for 120 days."),
        (1, "Late bids are returned unopened."),
    ]


def test_a_bare_answer_is_placed_by_its_question() -> None:
    assert quotes("120 days [1].", question="How long do bids stay valid?") == [
        (1, "Bids stay valid for 120 days.")
    ]
    assert quotes("Có [1].", VIETNAMESE, "Nhà thầu có phải nộp bảo đảm dự thầu không?") == [
        (1, "Nhà thầu phải nộp bảo đảm dự thầu bằng 1,5% giá gói thầu.")
    ]


def test_vietnamese_with_and_without_diacritics() -> None:
    wanted = [(1, "Nhà thầu phải nộp bảo đảm dự thầu bằng 1,5% giá gói thầu.")]
    assert quotes("Bảo đảm dự thầu bằng 1,5% giá gói thầu [1].", VIETNAMESE) == wanted
    assert quotes("Bao dam du thau bang 1,5% gia goi thau [1].", VIETNAMESE) == wanted


def test_a_citation_that_shares_no_word_is_the_whole_passage() -> None:
    text = ENGLISH[2].passage.text
    assert quotes("Voilà [3].") == [(3, text)]


@pytest.mark.parametrize(
    "text",
    [
        "A bid security of 2% is due [1].",
        "A bid security of 2% is due. [1] Consultants are chosen by quality and cost. [2]",
        "A bid security of 2% is due.[1]",
        "According to [1], a bid security of 2% is due.",
        "[1] A bid security of 2% of the price is due.",
        "- A bid security of 2% is due [1]\n- Late bids are returned [1]",
        "| Rule | Value |\n| --- | --- |\n| Bid security | 2% of the price [1] |",
        "Bids are valid for 120 days. Late bids are returned unopened [1].",  # the paragraph's citation
        "Yes.",
        "## Validity of bids for consultants in Mongolia",
        "The rules are these:\n\n1. Bids stay valid for 120 days [1].",
        "Shall I look at other documents for you?",
        "```\nmake 500 bids\n```\n\nLate bids are returned unopened [1].",
        "**Security**: 2% of the price [1].",
        "The rules of *submission* say that bids stay valid for one hundred and 120 days [1].",
        "Consultants' contracts run for 2 years at most [2].",
    ],
)
def test_what_the_sources_say_is_supported(text: str) -> None:
    assert resolve_citations(text, ENGLISH).unsupported == ()


@pytest.mark.parametrize(
    ("text", "unsupported"),
    [
        ("Bids stay valid for 90 days [1].", "Bids stay valid for 90 days [1]."),  # another number
        ("Disputes go to the court in Geneva.[2]", "Disputes go to the court in Geneva."),
        ("The bank lends money to every farmer [1].", "The bank lends money to every farmer [1]."),
        ("The bank lends money to every farmer.", "The bank lends money to every farmer."),
        ("Late bids are returned unopened [3].", "Late bids are returned unopened [3]."),  # another source's
        ("Late bids are returned [1].\n\nThe fee is paid in coins.", "The fee is paid in coins."),
        ("- Late bids are returned [1]\n- Cats eat raw fish", "Cats eat raw fish"),
    ],
)
def test_what_they_do_not_say_is_listed(text: str, unsupported: str) -> None:
    resolved = resolve_citations(text, ENGLISH)
    assert resolved.unsupported == (unsupported,)
    assert all(sentence in resolved.text for sentence in resolved.unsupported)


def test_vietnamese_statements_are_checked_too() -> None:
    good = "Thời hạn nộp hồ sơ dự thầu là 20 ngày [1]. Tranh chấp được giải quyết tại tòa án [2]."
    assert resolve_citations(good, VIETNAMESE).unsupported == ()
    wrong = "Thời hạn nộp hồ sơ dự thầu là 35 ngày [1]."
    assert len(resolve_citations(wrong, VIETNAMESE).unsupported) == 1


def test_numbers_are_one_in_either_spelling() -> None:
    sources = (source("Mức phạt là 1.500.000 đồng và 05 ngày, lãi 2,5%."),)
    answer = "Mức phạt là 1,500,000 đồng và 5 ngày, lãi 2.5% [1]."
    assert resolve_citations(answer, sources).unsupported == ()


def test_an_english_source_may_support_a_vietnamese_answer() -> None:
    assert resolve_citations("Hồ sơ dự thầu có hiệu lực trong 120 ngày [1].", ENGLISH).unsupported == ()
    assert resolve_citations("Hồ sơ dự thầu có hiệu lực trong 90 ngày [1].", ENGLISH).unsupported != ()


def test_the_heading_and_the_table_header_support_too() -> None:
    row = (source("Gói 1 | 5 tỷ đồng", context="Tên gói thầu | Giá", heading="Kế hoạch năm 2024"),)
    assert resolve_citations("Giá của gói 1 trong kế hoạch năm 2024 là 5 tỷ đồng [1].", row).unsupported == ()


def test_marks_to_nowhere_are_counted_and_gone() -> None:
    resolved = resolve_citations("Late bids are returned unopened [1][7]. So be it [8].", ENGLISH)
    assert resolved.text == "Late bids are returned unopened [1]. So be it."
    assert resolved.removed == 2
    assert [citation.number for citation in resolved.citations] == [1]


def test_without_sources_every_mark_goes() -> None:
    resolved = resolve_citations("Late bids are returned [1].", ())
    assert (resolved.text, resolved.citations, resolved.removed) == ("Late bids are returned.", (), 1)


def test_code_cites_nothing() -> None:
    assert resolve_citations("Use `bids[1]`:\n```\nx[2]\n```", ENGLISH).citations == ()


def test_statements_lie_in_the_text_where_they_say() -> None:
    text = "Bids stay [1] valid for 120 days. [2]\n\n> - Late **bids** [1] are returned [3].\n[2]\n"
    found = find_statements(text)
    assert [(s.numbers, text[s.start : s.end]) for s in found] == [
        ([1, 2], "Bids stay [1] valid for 120 days."),
        ([1, 3, 2], "Late **bids** [1] are returned [3]."),
    ]


WORDS = [
    "Bids stay valid for 120 days",
    "Hồ sơ nộp muộn",
    "2024",
    " ",
    ". ",
    "\n",
    "\n\n",
    "?",
    ":",
    "(",
    ")",
]
MARKS = ["[1]", " [2, 3]", "[9]", "【1】", "[", "]"]
SIGNS = ["- ", "| ", "```", "`", "> ", "1. ", "**", "# ", "---"]
parts = st.lists(st.sampled_from(WORDS + MARKS + SIGNS), max_size=30)


@given(parts)
@settings(max_examples=200, deadline=None)
def test_resolving_again_changes_nothing(pieces: list[str]) -> None:
    once = resolve_citations("".join(pieces), ENGLISH)
    again = resolve_citations(once.text, ENGLISH)
    assert (again.text, again.citations, again.unsupported) == (once.text, once.citations, once.unsupported)
    assert again.removed == 0
    assert all(sentence in once.text for sentence in once.unsupported)
    assert all(0 <= c.start < c.end <= len(c.passage.text) and 1 <= c.number <= 3 for c in once.citations)
