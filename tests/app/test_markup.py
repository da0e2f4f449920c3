"""An answer keeps its formatting and its marks, and nothing in it is fetched, run or followed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.chat.markup import answer_html, numbers_in

# Every tag that an answer can hold; attributes only on our own.
_TAGS = re.compile(
    r"</?(?:p|strong|em|s|ul|ol|li|blockquote|code|pre|h[1-6]|hr|br|table|thead|tbody|tr|th|td)(?: /)?>"
    r'|<(?:ol start="\d+"|t[hd] style="text-align:\w+"|code class="language-[^"<>]*")>'
    r'|<div class="answer \w+">|</div>|<span class="(?:doubt|table-header)"[^<>]*>|</span>'
    r'|<span>|<span class="outside" role="link" tabindex="0" title="https?://[^<>"]*" data-address="https?://[^<>"]*">'
    r'|<a class="cite" href="#source-\d+-\d+" aria-label="Source \d+">|</a>'
)


def test_a_link_is_none_before_it_was_asked_for() -> None:
    shown = answer_html('[here](https://other.example/?a=1&b=%22 "title") and <http://other.example>')
    assert "href" not in shown and "src" not in shown
    assert 'data-address="https://other.example/?a=1&amp;b=%22">here</span>' in shown
    assert shown.count('class="outside" role="link"') == 2
    for none in ("javascript:alert(1)", "data:text/html,x", "//other.example", "/media/x"):
        assert "outside" not in answer_html(f"[x]({none})")


def test_formatting_is_kept() -> None:
    shown = answer_html("**Two** quotes:\n\n- one\n- `two`\n\n| a | b |\n| --- | --- |\n| 1 | 2 |")
    for tag in ("<strong>Two</strong>", "<li>one</li>", "<code>two</code>", "<td>1</td>"):
        assert tag in shown


def test_marks_lead_to_their_sources() -> None:
    shown = answer_html("It is so [1][3].", turn=7)
    assert 'href="#source-7-1" aria-label="Source 1">1</a>' in shown
    assert 'href="#source-7-3"' in shown
    assert numbers_in("It is so [1][3], and [1].") == [1, 3]


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "![x](http://evil.example/x.png)",
        "[here](javascript:alert(1))",
        "[x]: http://evil.example\n\n[x]",
        "<http://evil.example>",
        "`` ` ![x](http://evil.example) `",
        "```\n</code></pre><script>\n```",
        "\ue000999\ue001<b>\ue002",
    ],
)
def test_nothing_is_fetched_run_or_followed(hostile: str) -> None:
    for kind in ("generated", "quotes"):
        left = _TAGS.sub("", answer_html(hostile, kind))  # type: ignore[arg-type]
        assert "<" not in left


@given(
    st.text(alphabet=st.sampled_from("ab <>[]()!`*_~#|-+.:/\"'\\&\n1\ue000\ue001\ue002\ue003"), max_size=80)
)
def test_no_text_makes_a_tag_of_its_own(text: str) -> None:
    assert "<" not in _TAGS.sub("", answer_html(text, "generated", unsupported=(text[:20],)))


@given(
    st.lists(
        st.sampled_from(
            ["[a", "](http://b", ")", "<http://c", ">", "[1]", "**", "x", '"', " ", "`", "\ue002"]
        ),
        max_size=12,
    )
)
def test_no_link_makes_a_tag_of_its_own(parts: list[str]) -> None:
    text = "".join(parts)
    for cut in (4, 9, 14):
        assert "<" not in _TAGS.sub("", answer_html(text, "generated", unsupported=(text[2:cut],)))


def test_quotes_are_the_words_of_the_document() -> None:
    shown = answer_html("Quoted:\n\n> Items *1* and *2*, # not a heading, 10 - 2 \\[3] [1]", "quotes")
    assert "Items *1* and *2*, # not a heading, 10 - 2 [3] <a" in shown
    assert "<blockquote>" in shown


def test_a_quoted_row_has_its_header_above_it() -> None:
    shown = answer_html("> *Value | Quotations*  \n> 500 | none [1]", "quotes")
    assert '<span class="table-header">Value | Quotations</span><br>' in shown


def test_a_sentence_without_support_is_marked() -> None:
    sentence = "The moon is made of **cheese**."
    shown = answer_html(f"Fine [1]. {sentence}", unsupported=(sentence, "| a | b |", "elsewhere"))
    assert re.search(r'<span class="doubt"[^>]*>The moon is made of <strong>cheese</strong>\.</span>', shown)
    assert shown.count("doubt") == 1


def test_nothing_is_drawn_of_an_empty_answer() -> None:
    assert answer_html("  ") == ""
