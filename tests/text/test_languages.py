from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.text.languages import detect_language, is_undiacritic_vietnamese
from engine.text.normalisation import fold_diacritics


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Đội thủ Panthers đã thua bao nhiêu điểm?", "vi"),
        ("Luke Kuechly đã có bao nhiêu cú húc?", "vi"),
        ("luat dau thau quy dinh gi", "vi"),
        ("How many points did the Panthers defense surrender?", "en"),
        ("Who is Nguyễn Văn Linh and what did he do?", "en"),
        ("Der Hund beißt den Mann, der ihm das Futter gegeben hat.", "de"),
        ("Le gouvernement a présenté hier son projet de loi de finances.", "fr"),
        ("これは日本語の文章です。東京は日本の首都です。", "ja"),
        ("", "und"),
        ("12 345 / 67 %", "und"),
        ("xyz", "und"),
    ],
)
def test_language_of_short_texts(text: str, language: str) -> None:
    assert detect_language(text) == language


@pytest.mark.parametrize(
    "question",
    [
        "luat dau thau quy dinh gi",
        "bao lanh du thau bao nhieu phan tram",
        "Super Bowl duoc to chuc o dau?",
        "e-HSMT la gi",
    ],
)
def test_vietnamese_without_marks_is_recognised(question: str) -> None:
    assert is_undiacritic_vietnamese(question)


@pytest.mark.parametrize(
    "question",
    [
        "to do list",
        "a long song",
        "machine gun",
        "man in the mat",
        "Mach number",
        "NASA",
        "luật đấu thầu",
        "",
        "?",
    ],
)
def test_other_questions_are_not(question: str) -> None:
    assert not is_undiacritic_vietnamese(question)


def _texts(folder: Path, name: str) -> list[str]:
    lines = (folder / name).read_text(encoding="utf-8").splitlines()
    return [str(json.loads(line)["text"]) for line in lines]


def test_real_questions_are_told_apart(shared_data: Path) -> None:
    vietnamese = [fold_diacritics(q) for q in _texts(shared_data / "xquad-vi", "queries.jsonl")]
    assert sum(map(is_undiacritic_vietnamese, vietnamese)) >= 0.98 * len(vietnamese)
    for collection in ("xquad-en", "squad2-en", "cranfield"):
        assert not any(map(is_undiacritic_vietnamese, _texts(shared_data / collection, "queries.jsonl")))


def test_real_passages_have_their_language(shared_data: Path) -> None:
    for collection, language in (("xquad-vi", "vi"), ("xquad-en", "en")):
        assert {detect_language(t) for t in _texts(shared_data / collection, "corpus.jsonl")} == {language}
