"""What must hold after any crash, asked of the database itself."""

from __future__ import annotations

import hashlib

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.storage.database import Database

from .clients import Ledger

VECTORS = "embeddings_multilingual_e5_small"

# Each finds what must not be.
HALF_VISIBLE = {
    "passages missing of a document": "SELECT d.id FROM documents d"
    " LEFT JOIN passages p ON p.document_id = d.id GROUP BY d.id HAVING count(p.id) <> d.passage_count",
    "a passage without a vector or tokens": f"SELECT p.id FROM passages p LEFT JOIN {VECTORS} e"
    " ON e.passage_id = p.id WHERE e.tokens IS NULL",
    "a vector without its passage": f"SELECT e.passage_id FROM {VECTORS} e LEFT JOIN passages p"
    " ON p.id = e.passage_id WHERE p.id IS NULL",
    "a passage without postings": "SELECT p.id FROM passages p WHERE NOT EXISTS"
    " (SELECT FROM postings o WHERE o.passage_id = p.id)",
    "postings of a missing passage": "SELECT o.passage_id FROM postings o LEFT JOIN passages p"
    " ON p.id = o.passage_id WHERE p.id IS NULL",
    "a term counted wrong": "SELECT t.id FROM terms t LEFT JOIN postings o ON o.term_id = t.id"
    " GROUP BY t.id HAVING count(o.term_id) <> t.passage_count",
    "a file under two documents": "SELECT file_name FROM documents WHERE deleted_at IS NULL"
    " GROUP BY file_name HAVING count(*) > 1",
    "passages counted wrong": "SELECT c.passage_count FROM corpus c"
    " WHERE c.passage_count <> (SELECT count(*) FROM passages)",
    "terms counted wrong": "SELECT c.term_count FROM corpus c WHERE c.term_count <>"
    " (SELECT coalesce(sum(length), 0) FROM (SELECT DISTINCT passage_id, length FROM postings) AS own)",
    "turns out of order": "SELECT session_id FROM turns GROUP BY session_id"
    " HAVING max(position) + 1 <> count(*)",
}


async def faults(database: Database, ledger: Ledger) -> list[str]:
    """Everything that is not as it was acknowledged, or not whole. Ask while nothing is written."""
    found = list(ledger.refused)
    async with database.read() as db:
        for what, query in HALF_VISIBLE.items():
            if rows := (await db.execute(text(query))).all():
                found.append(f"{what}: {[row[0] for row in rows[:5]]}")
        found += await _uploads(db, ledger)
        found += await _turns(db, ledger)
        found += await _settings(db, ledger)
    return found


async def unindexed(database: Database) -> list[int]:
    """Documents that are not found by the title that they have."""
    async with database.read() as db:
        rows = await db.execute(text("SELECT id FROM documents WHERE title <> indexed_title"))
        return list(rows.scalars())


async def _settings(db: AsyncConnection, ledger: Ledger) -> list[str]:
    rows = (await db.execute(text("SELECT id, tags, title, status FROM documents"))).mappings().all()
    documents = {row["id"]: row for row in rows}
    found = [
        f"{name} of document {n} lost"
        for (n, name), value in ledger.edits.items()
        if n not in documents or documents[n][name] != value
    ]
    chosen = {row.name: row.value for row in await db.execute(text("SELECT name, value FROM choices"))}
    return found + [f"{name} lost" for name, value in ledger.choices.items() if chosen.get(name) != value]


async def _uploads(db: AsyncConnection, ledger: Ledger) -> list[str]:
    rows = await db.execute(
        text(
            "SELECT d.file_name, d.content_hash,"
            " string_agg(f.content, ''::bytea ORDER BY f.position) AS content"
            " FROM documents d JOIN file_chunks f ON f.document_id = d.id"
            " WHERE d.deleted_at IS NULL GROUP BY d.id"
        )
    )
    found, kept = [], {}
    for row in rows:
        kept[row.file_name] = row.content_hash
        if hashlib.sha256(row.content).hexdigest() != row.content_hash:
            found.append(f"{row.file_name} is not the file that was sent")
    found += [f"upload {name} lost" for name, sha in ledger.uploads.items() if kept.get(name) != sha]
    found += [f"{name} appeared by itself" for name in kept.keys() - ledger.uploads.keys()]
    return found


async def _turns(db: AsyncConnection, ledger: Ledger) -> list[str]:
    rows = (
        await db.execute(text("SELECT id, session_id, vote FROM turns ORDER BY session_id, position"))
    ).all()
    kept: dict[str, list[int]] = {}
    for row in rows:
        kept.setdefault(str(row.session_id), []).append(row.id)
    begun = {str(i) for i in (await db.execute(text("SELECT id FROM sessions"))).scalars()}
    votes = {row.id: row.vote for row in rows}
    found = [
        f"session {session}: turns {kept.get(session, [])} where {ids} were acknowledged"
        for session, ids in ledger.turns.items()
        if kept.get(session, []) != ids
    ]
    found += [f"session {s} lost" for s in ledger.turns.keys() - begun]
    found += [f"session {s} was begun twice" for s in begun - ledger.turns.keys()]
    found += [f"vote on {turn} lost" for turn, vote in ledger.votes.items() if votes.get(turn) != vote]
    return found
