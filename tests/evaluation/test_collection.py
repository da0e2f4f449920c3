"""Test collections are read as they are published."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import BadInput
from engine.evaluation.collection import read_collection

from .conftest import jsonl


def test_a_collection_of_beir_is_read_as_one_of_ours(tmp_path: Path) -> None:
    for name, key, judged in (("ours", "id", "qrels.tsv"), ("beir", "_id", "qrels/test.tsv")):
        folder = tmp_path / name
        (folder / judged).parent.mkdir(parents=True)
        (folder / "corpus.jsonl").write_bytes(jsonl([{key: "d1", "title": "Thầu", "text": "18 ngày"}]))
        (folder / "queries.jsonl").write_bytes(jsonl([{key: "q1", "text": "Bao nhiêu ngày?"}]))
        (folder / judged).write_text("query-id\tcorpus-id\tscore\nq1\td1\t2\n")
    ours, beir = (read_collection(tmp_path / name) for name in ("ours", "beir"))
    assert (ours.corpus, ours.queries, ours.relevance) == (beir.corpus, beir.queries, {"q1": {"d1": 2}})
    assert beir.relevance == ours.relevance


def test_a_line_without_an_id_is_told(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_bytes(jsonl([{"title": "Thầu", "text": "18 ngày"}]))
    with pytest.raises(BadInput, match=r"no “id”.*18 ngày"):
        read_collection(tmp_path)
