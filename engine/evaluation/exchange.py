"""Question sets as files: corpus.jsonl, queries.jsonl and qrels.tsv, as BEIR lays them out, or a zip of them.

Read so that one wrong line costs that line and nothing else; each is reported by file and number.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from engine.errors import BadInput
from engine.evaluation.collection import Query, Record
from engine.text.normalisation import normalise, normalise_question
from engine.zip_files import UNREADABLE_ZIP

CORPUS, QUERIES, QRELS = "corpus.jsonl", "queries.jsonl", "qrels.tsv"
MOST_BYTES = 200_000_000  # unpacked
MOST_QUESTIONS = 50_000
MOST_RECORDS = 200_000
LONGEST_ID = 500  # characters; what an index of PostgreSQL can hold
_HINT = f"A set is {QUERIES} and {QRELS}, and {CORPUS} if it brings documents along; or a zip of them."
_KNOWN = {"id", "text", "answerable"}


@dataclass(frozen=True, slots=True)
class QrelsLine:
    """One judgment as it stands in the file, with its line."""

    query: str
    record: str
    gain: int
    line: int


@dataclass(slots=True)
class SetFiles:
    """What the files hold. more: by question id, what else its line held. problems: see ImportReport."""

    records: list[Record] = field(default_factory=list)
    queries: list[Query] = field(default_factory=list)
    more: dict[str, dict[str, Any]] = field(default_factory=dict)
    qrels: list[QrelsLine] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_set(files: Mapping[str, bytes], check: Callable[[str], str]) -> SetFiles:
    """Read a zip, or the files by name. Raises BadInput where there is no set in them.

    check: raises BadInput for a question that cannot be asked, which costs that question.
    """
    found = _unpacked(files)
    if QUERIES not in found:
        raise BadInput(f"There is no {QUERIES}.", hint=_HINT)
    read = SetFiles()
    seen: set[str] = set()
    for number, line in _lines(CORPUS, found.get(CORPUS, b""), read.problems):
        record = _identified(CORPUS, number, line, seen, read.problems)
        text = line.get("text")
        if record and not isinstance(text, str):
            read.problems.append(f"{CORPUS}, line {number}: “{record}” has no text.")
        elif record:
            read.records.append(Record(record, _clean(str(line.get("title") or "")), _clean(text)))
    seen = set()
    for number, line in _lines(QUERIES, found[QUERIES], read.problems):
        if query := _identified(QUERIES, number, line, seen, read.problems):
            _add_query(read, query, line, number, check)
    if len(read.queries) > MOST_QUESTIONS or len(read.records) > MOST_RECORDS:
        raise BadInput(
            f"The set has {len(read.queries):,} questions and {len(read.records):,} documents; at most "
            f"{MOST_QUESTIONS:,} and {MOST_RECORDS:,} can be taken in.",
            hint="Split it.",
        )
    if not read.queries:
        first = f" {read.problems[0]}" if read.problems else ""
        raise BadInput(f"There is no question in {QUERIES}.{first}", hint=_HINT)
    _read_qrels(found.get(QRELS), read)
    return read


def write_set(
    records: Sequence[Record],
    queries: Sequence[Query],
    more: Mapping[str, Mapping[str, Any]],
    qrels: Sequence[tuple[str, str, int]],
) -> bytes:
    """A zip of the three files; what was read is what is written."""
    corpus = (
        {"id": record.id, "title": record.title, "text": record.text} for record in records
    )  # fmt: skip
    asked = (
        {"id": query.id, "text": query.text, **more.get(query.id, {})}
        | ({} if query.answerable is None else {"answerable": query.answerable})
        for query in queries
    )
    judged = "query-id\tdoc-id\tscore\n" + "".join(f"{q}\t{r}\t{gain}\n" for q, r, gain in qrels)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, lines in ((CORPUS, corpus), (QUERIES, asked)):
            file.writestr(name, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
        file.writestr(QRELS, judged)
    return packed.getvalue()


def _unpacked(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files by their own names, out of zips and folders."""
    found: dict[str, bytes] = {}
    for name, content in files.items():
        if zipfile.is_zipfile(io.BytesIO(content)):
            found |= _from_zip(name, content)
        else:
            found[PurePosixPath(name).name] = content
    if not found.keys() & {CORPUS, QUERIES, QRELS}:
        given = ", ".join(sorted(found)[:5]) or "nothing"
        raise BadInput(f"This is no question set: it holds {given}.", hint=_HINT)
    if sum(map(len, found.values())) > MOST_BYTES:
        raise _too_large()
    return found


def _from_zip(name: str, content: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    left = MOST_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            for entry in packed.infolist():
                own = PurePosixPath(entry.filename).name
                if own not in (CORPUS, QUERIES, QRELS) or "__MACOSX" in entry.filename:
                    continue
                if own in found:
                    raise BadInput(f"{name} holds {own} twice.", hint="Put one set into a zip.")
                with packed.open(entry) as file:  # the size that it claims may be a lie
                    found[own] = file.read(left + 1)
                left -= len(found[own])
                if left < 0:
                    raise _too_large()
    except UNREADABLE_ZIP as error:
        raise BadInput(
            f"{name} cannot be unpacked: {error}.", hint="Make the zip anew, unencrypted."
        ) from error
    return found


def _too_large() -> BadInput:
    return BadInput(f"The set has more than {MOST_BYTES // 1_000_000} MB.", hint="Split it.")


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadInput(
            f"{name}, line {line}: not UTF-8 (byte {content[error.start]:#04x}).",
            hint="Save the file as UTF-8 and import it again.",
        ) from error


def _lines(name: str, content: bytes, problems: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    # By line feeds alone: JSON may hold U+2028, which splitlines() would cut at.
    for number, line in enumerate(_text(name, content).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            why = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
            problems.append(f"{name}, line {number}: not JSON ({why}).")
            continue
        if isinstance(value, dict):
            yield number, value
        else:
            problems.append(f"{name}, line {number}: not a JSON object.")


def _identified(
    name: str, number: int, line: dict[str, Any], seen: set[str], problems: list[str]
) -> str | None:
    """The line's id; None, with a problem, where it has none or one that came before."""
    given = line.get("id", line.get("_id"))
    if isinstance(given, bool) or not isinstance(given, str | int) or not str(given).strip():
        problems.append(f"{name}, line {number}: no “id”.")
        return None
    own = normalise(str(given))
    if len(own) > LONGEST_ID:
        problems.append(
            f"{name}, line {number}: its “id” has {len(own):,} characters, of {LONGEST_ID} at most."
        )
        return None
    if own in seen:
        problems.append(f"{name}, line {number}: “{own}” is there twice; the first one counts.")
        return None
    seen.add(own)
    return own


def _add_query(
    read: SetFiles, query: str, line: dict[str, Any], number: int, check: Callable[[str], str]
) -> None:
    text = line.get("text")
    asked = normalise_question(text) if isinstance(text, str) else ""
    if not any(character.isalnum() for character in asked):
        read.problems.append(f"{QUERIES}, line {number}: “{query}” has no question in “text”.")
        return
    try:
        check(asked)
    except BadInput as error:
        read.problems.append(f"{QUERIES}, line {number}: “{query}” cannot be asked. {error.message}")
        return
    answerable = line.get("answerable")
    if answerable is not None and not isinstance(answerable, bool):
        read.problems.append(f"{QUERIES}, line {number}: “answerable” is neither true nor false.")
        answerable = None
    read.queries.append(Query(query, asked, answerable=answerable))
    if others := {name: value for name, value in line.items() if name not in _KNOWN | {"_id"}}:
        read.more[query] = _clean(others)


def _clean(value: Any) -> Any:
    """Without what PostgreSQL cannot hold: NUL and lone surrogates."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "ignore").decode()
    if isinstance(value, dict):
        return {_clean(name): _clean(inner) for name, inner in value.items()}
    return [_clean(inner) for inner in value] if isinstance(value, list) else value


def _read_qrels(content: bytes | None, read: SetFiles) -> None:
    if content is None:
        read.problems.append(f"There is no {QRELS}: no question is judged.")
        return
    known = {query.id for query in read.queries}
    gains: dict[tuple[str, str], int] = {}
    for number, line in enumerate(_text(QRELS, content).split("\n"), start=1):
        row = line.rstrip("\r").split("\t")
        if not line.strip() or (number == 1 and not row[-1].strip().lstrip("-").isdigit()):  # the header
            continue
        if len(row) == 4:  # as TREC has it: query, iteration, document, gain
            row = [row[0], row[2], row[3]]
        try:
            query, record, gain = normalise(row[0]), normalise(row[1]), int(row[2])
        except (IndexError, ValueError):
            read.problems.append(f"{QRELS}, line {number}: expected query-id, doc-id and a whole score.")
            continue
        if len(record) > LONGEST_ID:
            read.problems.append(
                f"{QRELS}, line {number}: its doc-id has {len(record):,} characters, of {LONGEST_ID} at most."
            )
        elif query not in known:
            read.problems.append(f"{QRELS}, line {number}: there is no question “{query}”.")
        elif (earlier := gains.get((query, record))) is not None:
            other = "" if earlier == gain else f" with {earlier}, which counts"
            read.problems.append(f"{QRELS}, line {number}: “{record}” is judged twice for “{query}”{other}.")
        else:
            gains[query, record] = max(-1, min(gain, 1000))
            read.qrels.append(QrelsLine(query, record, gains[query, record], number))
