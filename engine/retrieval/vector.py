"""The vector index: pgvector's HNSW, one table an embedder, half-precision vectors.

An embedder's table also keeps its passages' token vectors, so that late interaction needs
no model for passages when a question is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from functools import cache

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.retrieval.scope import Scope
from engine.storage.database import Database, driver, fetch_rows, setting, unhurried
from engine.storage.fixed import Fixed
from engine.storage.migrate import LOCK

Vector = NDArray[np.float32]

# Built and searched so that recall@50 stays above 0.97 (benchmarks/retrieval.py).
BUILD = "m = 16, ef_construction = 128"
EF_SEARCH = 240
# A filter that leaves fewer passages is searched exactly: faster than the graph, and nothing is lost.
EXACT_BELOW = 10_000
MAX_SCAN_TUPLES = 200_000
COPIED_AT_ONCE = 20  # vectors with those of their tokens; some milliseconds of the event loop

# What PostgreSQL must be told; the database sets it where a search costs no round trip for it.
SERVER_SETTINGS = {
    "hnsw.ef_search": str(EF_SEARCH),
    "hnsw.iterative_scan": "relaxed_order",
    "hnsw.max_scan_tuples": str(MAX_SCAN_TUPLES),
}


class VectorIndex:
    """Vectors of one embedder's passages.

    Scores are inner products of unit vectors, which is their cosine similarity.
    """

    def __init__(self, embedder: str, dimension: int) -> None:
        self.table = "embeddings_" + re.sub(r"[^a-z0-9]+", "_", embedder.lower()).strip("_")
        self.dimension = dimension

    async def prepare(self, database: Database) -> None:
        """Make the table and its index where they are missing."""
        async with database.direct() as db:
            await db.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            for statement in (
                f"CREATE TABLE IF NOT EXISTS {self.table} ("
                " passage_id integer PRIMARY KEY REFERENCES passages (id) ON DELETE CASCADE,"
                " document_id integer NOT NULL,"
                f" embedding halfvec({self.dimension}) NOT NULL,"
                " tokens bytea)",
                f"ALTER TABLE {self.table} ALTER COLUMN embedding SET STORAGE PLAIN",
                # Packed already; kept out of line so that exact scans read vectors only.
                f"ALTER TABLE {self.table} ALTER COLUMN tokens SET STORAGE EXTERNAL",
                f"CREATE INDEX IF NOT EXISTS {self.table}_document ON {self.table} (document_id)",
                f"CREATE INDEX IF NOT EXISTS {self.table}_hnsw ON {self.table}"
                f" USING hnsw (embedding halfvec_ip_ops) WITH ({BUILD})",
            ):
                await db.execute(text(statement))

    async def add(
        self, db: AsyncConnection, document_id: int, rows: Iterable[tuple[int, Vector, bytes | None]]
    ) -> None:
        """Store (passage id, vector, packed token vectors) of one document's passages."""
        records = (
            (passage_id, document_id, HalfVector(vector), tokens) for passage_id, vector, tokens in rows
        )
        await (await driver(db)).copy_records_to_table(
            self.table,
            records=unhurried(records, COPIED_AT_ONCE),
            columns=["passage_id", "document_id", "embedding", "tokens"],
        )

    async def search(self, db: AsyncConnection, vector: Vector, scope: Scope, limit: int) -> dict[int, float]:
        """The `limit` nearest passages: passage id → cosine similarity, best first."""
        if scope.empty:
            return {}
        where, order = "", "embedding <#> :vector"
        values: dict[str, object] = {"vector": HalfVector(vector), "limit": limit}
        if scope.include is not None:
            where = "WHERE document_id = ANY(CAST(:documents AS int[]))"
            values["documents"] = list(scope.include)
            if scope.included_passages <= EXACT_BELOW:
                order = "(embedding <#> :vector) + 0"  # an order that the graph cannot give
        elif scope.exclude:
            where = "WHERE document_id <> ALL(CAST(:documents AS int[]))"
            values["documents"] = list(scope.exclude)
        async with AsyncExitStack() as wider:
            if 2 * limit > EF_SEARCH:
                await wider.enter_async_context(setting(db, "hnsw.ef_search", str(min(2 * limit, 1000))))
            rows = await fetch_rows(db, _nearest(self.table, where, order), values)
        found = {passage_id: float(similarity) for passage_id, similarity in rows}
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    async def similarities(
        self, db: AsyncConnection, vector: Vector, passage_ids: Sequence[int]
    ) -> dict[int, float]:
        """Cosine similarities of given passages; those without a vector are left out."""
        if not passage_ids:
            return {}
        values = {"vector": HalfVector(vector), "ids": list(passage_ids)}
        rows = await fetch_rows(db, _similarities(self.table), values)
        return {passage_id: float(similarity) for passage_id, similarity in rows}

    async def tokens(self, database: Database, passage_ids: Sequence[int]) -> dict[int, bytes]:
        """Packed token vectors of given passages, where there are any."""
        rows = await database.fetch(_tokens(self.table), {"ids": list(passage_ids)})
        return {passage_id: bytes(tokens) for passage_id, tokens in rows}

    async def documents_missing(self, db: AsyncConnection) -> list[int]:
        """Documents with passages that this embedder has not seen."""
        rows = await db.execute(
            text(
                "SELECT DISTINCT p.document_id FROM passages p"
                f" LEFT JOIN {self.table} e ON e.passage_id = p.id WHERE e.passage_id IS NULL"
            )
        )
        return [document_id for (document_id,) in rows]


@cache
def _nearest(table: str, where: str, order: str) -> Fixed:
    return Fixed(
        text(
            f"SELECT passage_id, -(embedding <#> :vector) AS similarity FROM {table} {where}"
            f" ORDER BY {order} LIMIT :limit"
        )
    )


@cache
def _similarities(table: str) -> Fixed:
    return Fixed(
        text(
            f"SELECT passage_id, -(embedding <#> :vector) FROM {table}"
            " WHERE passage_id = ANY(CAST(:ids AS int[]))"
        )
    )


@cache
def _tokens(table: str) -> Fixed:
    return Fixed(
        text(
            f"SELECT passage_id, tokens FROM {table}"
            " WHERE passage_id = ANY(CAST(:ids AS int[])) AND tokens IS NOT NULL"
        )
    )
