"""Passages follow a document's structure, tile it and never lose a word."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.documents.model import Block, BlockKind, ParsedDocument, PassageDraft
from engine.documents.passages import MAXIMUM, TARGET, split_passages


def split(*blocks: Block) -> list[PassageDraft]:
    return split_passages(ParsedDocument(blocks))


def heading(text: str, level: int = 1, page: int | None = None) -> Block:
    return Block("heading", text, level, page)


def paragraph(text: str, page: int | None = None) -> Block:
    return Block("paragraph", text, page=page)


def sentences(count: int, word: str = "words") -> str:
    return " ".join(f"Sentence number {n} has some {word} in it." for n in range(count))


def test_what_fits_into_one_passage_is_one() -> None:
    text = sentences(100)[:MAXIMUM].rsplit(" ", 1)[0]
    assert [p.text for p in split(paragraph(text))] == [text]


def test_headings_are_carried_and_stand_with_the_text_they_head() -> None:
    passages = split(
        heading("Chương II ĐẤU THẦU"),
        heading("Điều 5. Tư cách hợp lệ", 2),
        paragraph(sentences(60)),
        heading("Điều 6. Bảo đảm cạnh tranh", 2),
        paragraph(sentences(5)),
    )
    assert passages[0].text.startswith("Chương II ĐẤU THẦU\nĐiều 5. Tư cách hợp lệ\nSentence number 0")
    fifth = "Chương II ĐẤU THẦU › Điều 5. Tư cách hợp lệ"
    assert [p.heading for p in passages[:-1]] == [fifth] * (len(passages) - 1) and len(passages) > 2
    assert passages[-1].heading == "Chương II ĐẤU THẦU › Điều 6. Bảo đảm cạnh tranh"
    assert passages[-1].text.startswith("Điều 6. Bảo đảm cạnh tranh\n")


def test_long_sections_are_cut_into_like_parts_at_sentence_ends() -> None:
    passages = split(paragraph(sentences(100)))
    lengths = [len(p.text) for p in passages]
    assert all(p.text.endswith(".") for p in passages)
    assert min(lengths) > 0.7 * TARGET and max(lengths) < 1.4 * TARGET


def test_a_sentence_of_monstrous_length_is_cut_between_words() -> None:
    passages = split(paragraph("word " * 1000 + "end"))
    assert all(len(p.text) <= MAXIMUM for p in passages)
    assert " ".join(p.text for p in passages) == "word " * 1000 + "end"


def test_tables_are_cut_between_rows_and_carry_their_header() -> None:
    header = "Tên gói thầu | Giá | Thời gian"
    rows = [
        Block("table_row", f"Gói thầu số {n} | {n} triệu đồng | {n} tháng", header=header) for n in range(100)
    ]
    passages = split(Block("table_row", header), *rows)
    assert len(passages) > 2
    assert passages[0].context == "" and passages[0].text.startswith(header)
    assert {p.context for p in passages[1:]} == {header}
    lines = [line for p in passages for line in p.text.split("\n")]
    assert lines == [header, *(row.text for row in rows)]


def test_tiny_sections_share_a_passage_under_the_heading_they_share() -> None:
    passages = split(
        heading("Contacts"),
        heading("Anna", 2), paragraph("Phone 1."),
        heading("Ben", 2), paragraph("Phone 2."),
        heading("Rules"), paragraph(sentences(20)),
    )  # fmt: skip
    assert [p.heading for p in passages] == ["Contacts", "Rules"]


def test_small_articles_stay_apart() -> None:
    text = "Ngôn ngữ sử dụng trong đấu thầu trong nước là tiếng Việt, trong đấu thầu quốc tế là tiếng Anh."
    passages = split(
        heading("Điều 12. Ngôn ngữ"), paragraph(text), heading("Điều 13. Đồng tiền"), paragraph(text)
    )
    assert [p.heading for p in passages] == ["Điều 12. Ngôn ngữ", "Điều 13. Đồng tiền"]


def test_pages_of_the_first_and_the_last_character() -> None:
    passages = split(paragraph(sentences(10), 3), paragraph(sentences(10), 4), paragraph(sentences(60), 5))
    assert (passages[0].page, passages[-1].last_page) == (3, 5)
    assert all(p.page and p.last_page and p.page <= p.last_page for p in passages)


def test_very_long_headings_are_shortened_in_the_path_only() -> None:
    long = "Điều 1. " + "Sửa đổi, bổ sung một số điều của Luật " * 7
    passage = split(heading(long.strip()), paragraph("Nội dung."))[0]
    assert passage.heading.endswith("…") and len(passage.heading) < 180
    assert long.strip() in passage.text


def test_nothing_gives_nothing() -> None:
    assert split() == []


def test_a_megabyte_takes_less_than_a_second() -> None:
    blocks = [
        heading(f"Điều {n}. Tên điều", 1) if n % 9 == 0 else paragraph(sentences(9)) for n in range(3_000)
    ]
    size = sum(len(block.text) for block in blocks)
    started = time.perf_counter()
    split(*blocks)
    assert size > 900_000 and time.perf_counter() - started < 1.5  # seconds; a machine may be busy


words = (
    st.text(alphabet="abcdeăơưđ .;!?|“”\u4e00", min_size=1, max_size=400)
    .map(lambda t: " ".join(t.split()))
    .filter(bool)
)
long_words = st.integers(1, 4_000).map("x".__mul__)
kinds: st.SearchStrategy[BlockKind] = st.sampled_from(
    ["heading", "paragraph", "list_item", "table_row", "code"]
)


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    kind = draw(kinds)
    text = draw(
        words
        if kind == "heading"
        else st.one_of(words, long_words, words.map(lambda t: (t + " ") * 30).map(str.strip))
    )
    level = draw(st.integers(1, 4)) if kind == "heading" else 0
    header = draw(st.sampled_from(["", "a | b"])) if kind == "table_row" else ""
    return Block(kind, text, level, draw(st.integers(1, 9)), header)


@settings(max_examples=200, deadline=None)
@given(st.lists(blocks(), max_size=25))
def test_passages_tile_the_document(given_blocks: list[Block]) -> None:
    passages = split(*given_blocks)
    text = "\n".join(p.text for p in passages)
    end = -1
    for position, passage in enumerate(passages):
        assert passage.position == position
        assert passage.start == end + 1
        end = passage.end
        assert text[passage.start : passage.end] == passage.text and passage.text.strip()
    assert end == len(text) or not passages
    # Every letter of every block is there, once and in order.
    assert "".join(text.split()) == "".join("".join(block.text.split()) for block in given_blocks)
    assert passages == split(*given_blocks)


@settings(max_examples=200, deadline=None)
@given(st.lists(blocks(), max_size=25))
def test_no_passage_is_too_long_or_ends_with_a_heading(given_blocks: list[Block]) -> None:
    passages = split(*given_blocks)
    heads = [block.text for block in given_blocks if block.kind == "heading"]
    body_follows = any(block.kind != "heading" for block in given_blocks)
    for passage in passages:
        assert len(passage.text) <= MAXIMUM + 3 * 400  # only a chain of long headings adds to it
        if max(map(len, heads), default=0) < 100:
            assert len(passage.text) <= 2 * MAXIMUM
    if body_follows and len(heads) == 1 and given_blocks[-1].kind != "heading":
        assert not any(passage.text == heads[0] for passage in passages)
