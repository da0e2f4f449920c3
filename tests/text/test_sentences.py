from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.text.sentences import split_sentences


def _sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text)]


@pytest.mark.parametrize(
    "sentences",
    [
        ["Mr. Smith of the U.S. Army paid $3.5 million.", "He left!", "Did he?", "Yes... he did."],
        ["See Fig. 3 and No. 5, e.g. the J. R. R. Tolkien novel (vol. 2).", '"Stop."', "She stopped."],
        ["It began in 1999.", "2000 was later."],
        ["investigation of a slipstream .", "an experimental study of a wing ."],
        ["TP. Hồ Chí Minh là thành phố lớn.", "PGS. TS. Nguyễn Văn An nói vậy.", "Rồi ông đi."],
        ["Giá là 1.000.000 đồng, tăng 3,5%.", "Mức đó không đổi."],
        ["Theo khoản 2 Điều 5.", "Nhà thầu phải nộp tiền."],
        ["no end"],
    ],
)
def test_sentences_on_one_line(sentences: list[str]) -> None:
    assert _sentences(" ".join(sentences)) == sentences


def test_a_legal_number_opens_its_sentence() -> None:
    assert _sentences(
        "Chương II. QUY ĐỊNH CHUNG\nĐiều 5. Bảo đảm dự thầu\n1. Áp dụng.\na. Nhà thầu nộp tiền."
    ) == [
        "Chương II. QUY ĐỊNH CHUNG",
        "Điều 5. Bảo đảm dự thầu",
        "1. Áp dụng.",
        "a. Nhà thầu nộp tiền.",
    ]


def test_table_rows_and_list_items_stand_alone() -> None:
    text = "STT | Tên hàng | Giá\n1 | Máy tính | 3.000.000\n- một mục\n- mục khác"
    assert _sentences(text) == text.split("\n")


def test_nothing_gives_nothing() -> None:
    assert split_sentences("") == []
    assert split_sentences(" \n\n\t ") == []


@pytest.mark.parametrize("collection", ["xquad-en", "xquad-vi", "cranfield"])
def test_real_texts_are_covered_exactly(shared_data: Path, collection: str) -> None:
    lines = (shared_data / collection / "corpus.jsonl").read_text(encoding="utf-8").splitlines()[:200]
    for text in (json.loads(line)["text"] for line in lines):
        spans = split_sentences(text)
        assert all(text[start:end] == text[start:end].strip() != "" for start, end in spans)
        assert all(before[1] <= after[0] for before, after in zip(spans, spans[1:], strict=False))
        outside = list(text)
        for start, end in spans:
            outside[start:end] = [" "] * (end - start)
        assert not "".join(outside).strip()
