"""Token vectors as ingestion stored them."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from engine.documents.jobs import Upload
from tests.conftest import OpenEngine

FILES = {
    "gate.md": "# Gate\n\nThe gate closes at nine in the evening.\n",
    "bread.md": "# Bread\n\nBread is baked at five in the morning.\n",
}


async def test_vectors_that_cannot_be_read_are_computed_anew(
    open_test_engine: OpenEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_test_engine() as engine:
        job = await engine.ingestion.submit([Upload(name, said.encode()) for name, said in FILES.items()])
        await engine.ingestion.wait(job.id)
        schema, table = engine.database.schema, engine.vectors.table
        async with engine.database.write() as db:
            damaged = await db.execute(text(f"UPDATE {table} SET tokens = '\\x4212'::bytea"))
        assert damaged.rowcount > 0, schema
        answer = await engine.ask("When does the gate close?")
        assert "nine" in answer.text
        assert "computed anew" in caplog.text
