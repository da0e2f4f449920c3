"""Question sets from files and into files, matched with the documents that are here."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ARRAY, Table, Text, and_, any_, bindparam, insert, literal, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.access.audit import note
from engine.access.collections import readable_ids
from engine.access.principal import Access
from engine.evaluation.collection import Query, Record
from engine.evaluation.exchange import QRELS, QrelsLine, SetFiles, read_set, write_set
from engine.evaluation.judging import load_judgments
from engine.evaluation.model import ImportReport
from engine.evaluation.question_sets import QuestionSets, add_set, tag_of
from engine.retrieval.scope import readable
from engine.storage.database import Database
from engine.storage.tables import documents, judgments, passages, set_questions, set_records
from engine.text.normalisation import normalise

_HASH_SHOWN = 12  # characters of a passage's hash in the id that it has in files
_BY_HASH = text("""
    SELECT DISTINCT ON (passages.content_hash) passages.content_hash, documents.file_name
    FROM passages JOIN documents ON documents.id = passages.document_id AND documents.deleted_at IS NULL
    WHERE passages.content_hash = ANY(CAST(:hashes AS text[]))
    AND (CAST(:own AS int[]) IS NULL OR documents.collection_id = ANY(CAST(:own AS int[])))
    AND NOT EXISTS (SELECT FROM unnest(documents.tags) AS tag WHERE tag LIKE 'question set %')
    ORDER BY passages.content_hash, documents.id
""")


@dataclass(frozen=True, slots=True)
class _Place:
    """What a judged id stands for; an empty hash is the whole document."""

    file_name: str
    content_hash: str = ""
    title: str = ""
    text: str = ""


async def import_set(
    database: Database,
    sets: QuestionSets,
    name: str,
    files: Mapping[str, bytes],
    check: Callable[[str], str],
    access: Access,
    description: str = "",
) -> ImportReport:
    """Take a set in, from a zip or from its files by name; all of it or, for an error, nothing.

    A doc-id may be: an id of corpus.jsonl; a document's file name; a file name, “#” and the first
    characters of a passage's SHA-256; a document's title. Records that say word for word what a
    passage here says are that passage; if others are judged, all are documents of the set's own,
    to be added with `SetDocuments`. What an id stands for need not be here: it counts as not found.
    Documents that whoever acts may not read are not here. check: raises BadInput for a question that
    users could not ask. Raises BadInput.
    """
    read = await asyncio.to_thread(read_set, files, check)
    async with database.read() as db:
        found, own_corpus = await _places(db, read, access)
    async with database.write() as db:
        set_id, _ = await add_set(db, name, description, own_corpus=own_corpus)
        if own_corpus:
            found = {
                record.id: _Place(_file_name(set_id, record.id), "", record.title) for record in read.records
            }
            await _insert(db, set_records, _record_rows(set_id, read.records))
        places = _completed(read, found, own_corpus=own_corpus)
        ids = await _add_questions(db, set_id, read)
        await _insert(db, judgments, _judgment_rows(read.qrels, ids, places))
    return ImportReport(await sets.get(set_id), tuple(read.problems))


async def export_set(database: Database, set_id: int, access: Access) -> bytes:
    """The set as a zip that `import_set` reads: what came from files leaves as it came.

    Judged passages go along as records, so that it can be used elsewhere too, and every question
    says whether it is answerable. What is judged of documents that whoever acts may not read stays here.
    """
    async with database.write() as db:
        await note(db, access, "export", f"question set {set_id}")
        statement = select(set_questions).where(
            set_questions.c.set_id == set_id, set_questions.c.deleted_at.is_(None)
        )
        rows = (await db.execute(statement.order_by(set_questions.c.id))).all()
        judged = await load_judgments(db, [row.id for row in rows], access)
        brought = await db.execute(
            select(set_records).where(set_records.c.set_id == set_id).order_by(set_records.c.number)
        )
        own = {row.file_name: Record(row.record_id, row.title, row.text) for row in brought}
    records = {record.id: record for record in own.values()}
    qrels: list[tuple[str, str, int]] = []
    for row in rows:
        for judgment in judged.get(row.id, ()):
            if judgment.file_name in own:
                record = own[judgment.file_name].id
            elif judgment.content_hash:
                record = f"{judgment.file_name}#{judgment.content_hash[:_HASH_SHOWN]}"
                records[record] = Record(record, judgment.title, judgment.text)
            else:
                record = judgment.file_name
            qrels.append((row.key, record, judgment.gain))
    return await asyncio.to_thread(
        write_set,
        list(records.values()),
        [Query(row.key, row.text, answerable=row.answerable) for row in rows],
        {row.key: row.more for row in rows},
        qrels,
    )


async def _places(db: AsyncConnection, read: SetFiles, access: Access) -> tuple[dict[str, _Place], bool]:
    """Where judged ids are among the documents here, and whether the set needs its own."""
    wanted = {line.record for line in read.qrels}
    hashes = await asyncio.to_thread(_hashes, read.records)
    rows = await db.execute(_BY_HASH, {"hashes": [*hashes.values()], "own": await readable_ids(db, access)})
    here = {content_hash: file_name for content_hash, file_name in rows}
    by_id = {record.id: record for record in read.records}
    found = {
        own: _Place(here[content_hash], content_hash, by_id[own].title, by_id[own].text)
        for own, content_hash in hashes.items()
        if content_hash in here
    }
    # Judged only as far as it goes: a collection is one where something judged is not here.
    own_corpus = bool((wanted or set(by_id)) & by_id.keys() - found.keys())
    if own_corpus:
        return {}, True
    found |= await _by_passage(db, wanted - found.keys(), access)
    found |= await _by_name(db, wanted - found.keys(), access)
    return found, False


def _hashes(records: Sequence[Record]) -> dict[str, str]:
    """Of their texts, as passages have them."""
    return {
        record.id: hashlib.sha256(normalise(record.text, keep_line_breaks=True).encode()).hexdigest()
        for record in records
    }


async def _by_name(db: AsyncConnection, wanted: set[str], access: Access) -> dict[str, _Place]:
    """Documents by file name, or by a title that only one of them has."""
    found: dict[str, _Place] = {}
    living = and_(documents.c.deleted_at.is_(None), readable(access))
    for column in (documents.c.file_name, documents.c.title):
        rows = await db.execute(
            select(column.label("given"), documents.c.file_name, documents.c.title).where(
                living, column == any_(literal([*wanted - found.keys()], ARRAY(Text)))
            )
        )
        by_given: dict[str, list[_Place]] = {}
        for given, file_name, title in rows:
            by_given.setdefault(given, []).append(_Place(file_name, "", title))
        found |= {given: places[0] for given, places in by_given.items() if len(places) == 1}
    return found


async def _by_passage(db: AsyncConnection, wanted: set[str], access: Access) -> dict[str, _Place]:
    """Passages by their document's file name and the beginning of their hash."""
    parts = {given: given.rpartition("#") for given in wanted}
    named = {given: (name, begins) for given, (name, _, begins) in parts.items() if name and len(begins) >= 8}
    statement = (
        select(passages.c.content_hash, passages.c.text, documents.c.title)
        .join(documents, documents.c.id == passages.c.document_id)
        .where(
            documents.c.file_name == bindparam("name"),
            documents.c.deleted_at.is_(None),
            readable(access),
            passages.c.content_hash.startswith(bindparam("begins"), autoescape=False),
        )
    )
    found: dict[str, _Place] = {}
    for given, (name, begins) in named.items():
        if not begins.isalnum():
            continue
        row = (await db.execute(statement, {"name": name, "begins": begins})).first()
        if row is not None:
            found[given] = _Place(name, row.content_hash, row.title, row.text)
    return found


def _completed(read: SetFiles, found: Mapping[str, _Place], *, own_corpus: bool) -> dict[str, _Place]:
    """A place for every judged id; for one that is not here, its name, with a problem."""
    places = dict(found)
    for line in read.qrels:
        if line.record in places:
            continue
        where = "in corpus.jsonl" if own_corpus else "among the documents"
        read.problems.append(
            f"{QRELS}, line {line.line}: “{line.record}” is not {where}; it counts as not found."
        )
        places[line.record] = _Place(line.record)
    return places


async def _add_questions(db: AsyncConnection, set_id: int, read: SetFiles) -> dict[str, int]:
    """Database ids by the questions' own."""
    relevant = {line.query for line in read.qrels if line.gain > 0}
    rows = [
        {
            "set_id": set_id,
            "key": query.id,
            "text": query.text,
            "answerable": query.answerable is not False or query.id in relevant,
            "more": read.more.get(query.id, {}),
        }
        for query in read.queries
    ]
    await _insert(db, set_questions, rows)
    ids = await db.execute(
        select(set_questions.c.key, set_questions.c.id).where(set_questions.c.set_id == set_id)
    )
    return {key: question_id for key, question_id in ids}


def _record_rows(set_id: int, records: Sequence[Record]) -> list[dict[str, object]]:
    return [
        {
            "set_id": set_id,
            "record_id": record.id,
            "number": number,
            "file_name": _file_name(set_id, record.id),
            "title": record.title,
            "text": record.text,
        }
        for number, record in enumerate(records)
    ]


def _judgment_rows(
    lines: Iterable[QrelsLine], ids: Mapping[str, int], places: Mapping[str, _Place]
) -> list[dict[str, object]]:
    """One row a question and place: where two ids are the same place, the higher gain counts."""
    rows: dict[tuple[int, str, str], dict[str, object]] = {}
    for line in sorted(lines, key=lambda line: line.gain):
        place = places[line.record]
        rows[ids[line.query], place.file_name, place.content_hash] = {
            "question_id": ids[line.query],
            "file_name": place.file_name,
            "content_hash": place.content_hash,
            "gain": line.gain,
            "title": place.title,
            "text": place.text,
        }
    return [*rows.values()]


def _file_name(set_id: int, record_id: str) -> str:
    return f"{tag_of(set_id)} ∕ {record_id}"


async def _insert(db: AsyncConnection, table: Table, rows: Sequence[dict[str, object]]) -> None:
    if rows:
        await db.execute(insert(table), rows)
