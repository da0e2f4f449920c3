"""Test collections: a folder with corpus.jsonl, queries.jsonl and qrels.tsv.

One of BEIR's as it is published will do: ids may be called `_id`, judgments may be in qrels/test.tsv.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.documents.model import Block, ParsedDocument
from engine.errors import BadInput
from engine.text.normalisation import normalise

_JUDGED = ("qrels.tsv", "qrels/test.tsv")


@dataclass(frozen=True, slots=True)
class Record:
    """A document of the corpus."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Query:
    """A question. answers: gold answers, any of which will do. answerable: None where not said."""

    id: str
    text: str
    answers: tuple[str, ...] = ()
    answerable: bool | None = None


@dataclass(frozen=True, slots=True)
class TestCollection:
    """relevance: query id → record id → graded gain."""

    name: str
    corpus: tuple[Record, ...]
    queries: tuple[Query, ...]
    relevance: dict[str, dict[str, int]]


def read_collection(folder: Path, limit: int | None = None) -> TestCollection:
    """Read a collection; with `limit`, only the first so many queries.

    Raises BadInput that names the file, the line and what is wrong there.
    """
    corpus = tuple(
        Record(_string(line, "id", "_id"), line.get("title") or "", line.get("text") or "")
        for line in _lines(folder / "corpus.jsonl")
    )
    queries = tuple(
        Query(
            _string(line, "id", "_id"),
            _string(line, "text"),
            tuple(line.get("answers") or ()),
            line.get("answerable"),
        )
        for line in _lines(folder / "queries.jsonl")
    )
    if not corpus or not queries:
        raise BadInput(f"{folder} has no documents or no queries.")
    # A judged record that the corpus lacks stays: it counts as not found.
    relevance: dict[str, dict[str, int]] = {}
    judged = next((path for path in _JUDGED if (folder / path).exists()), _JUDGED[0])
    for query, record, gain in _judgments(folder / judged):
        relevance.setdefault(query, {})[record] = gain
    return TestCollection(folder.name, corpus, queries[:limit], relevance)


def plain_text(text: str) -> ParsedDocument:
    """A record as the parser of plain text would give it: one paragraph a line."""
    lines = normalise(text, keep_line_breaks=True).split("\n")
    return ParsedDocument(tuple(Block("paragraph", line) for line in lines if line))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    value = json.loads(line)
                except json.JSONDecodeError as error:
                    raise BadInput(f"{path}, line {number}: not JSON ({error.msg}).") from error
                if not isinstance(value, dict):
                    raise BadInput(f"{path}, line {number}: not a JSON object.")
                yield value
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read: {error}.") from error


def _judgments(path: Path) -> Iterator[tuple[str, str, int]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE), start=1):
                if number == 1 or not row:  # the header
                    continue
                try:
                    yield row[0], row[1], int(row[2])
                except (IndexError, ValueError) as error:
                    raise BadInput(f"{path}, line {number}: expected query-id, doc-id, score.") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error}.") from error


def _string(line: dict[str, Any], name: str, other: str = "") -> str:
    value = line.get(name, line.get(other))
    if not isinstance(value, str | int) or value == "":
        raise BadInput(f"A line has no “{name}”: {json.dumps(line, ensure_ascii=False)[:200]}")
    return str(value)
