"""The audit: who did what, which nobody changes afterwards."""

from __future__ import annotations

import csv
import io

import pytest
from sqlalchemy import text

from engine.access.audit import AuditEvent, as_csv
from engine.access.principal import SYSTEM, acting
from engine.engine import Engine
from engine.errors import NotAllowed, NotSignedIn
from tests.conftest import OpenEngine

from .conftest import PASSWORD, join
from .test_collections import OPEN_TEXT, put

pytestmark = pytest.mark.anyio


async def events(engine: Engine, **wanted: str) -> list[AuditEvent]:
    with acting(SYSTEM):
        return await engine.entrance.audit.list(**wanted)  # type: ignore[arg-type]


async def test_who_asked_uploaded_deleted_exported_and_let_others_in(open_test_engine: OpenEngine) -> None:
    async with open_test_engine(access_control=True) as engine:
        anna = await join(engine, "anna", "editor")
        document = await put(engine, anna, "travel.md", OPEN_TEXT)
        with acting(anna):
            session = await engine.sessions.create()
            await engine.ask("What is refunded for meals?", session_id=session.id)
            await engine.search("meals")
            await engine.sessions.export(session.id)
            await engine.documents.update_many([document], add_tags=["seen"])
            await engine.documents.delete([document])
            await engine.documents.restore([document])
            await engine.sessions.share(session.id)
        with pytest.raises(NotSignedIn):
            await engine.entrance.sign_ins.sign_in("anna", "wrong")
        with acting(SYSTEM):
            await engine.entrance.accounts.set_role("anna", "reader")
            await engine.operations.clear_cache(["L1"], "command line")
        told = await events(engine, who="anna")
        assert [(event.action, event.done) for event in reversed(told)] == [
            ("sign in", True),
            ("upload", True),
            ("ask", True),
            ("search", True),
            ("export", True),
            ("edit", True),
            ("delete", True),
            ("restore", True),
            ("share", True),
            ("sign in", False),
        ]
        asked = next(event for event in told if event.action == "ask")
        assert f"documents {document}" in asked.outcome and "meals" not in repr(asked)
        others = {event.action for event in await events(engine, who="Dossier")}
        assert {"add account", "change account", "clear cache layer", "read the audit"} <= others
        assert PASSWORD not in repr(await events(engine))
        with acting(anna), pytest.raises(NotAllowed):
            await engine.entrance.audit.list()


async def test_a_change_that_fails_has_no_record_and_one_without_record_fails(guarded: Engine) -> None:
    """Both are one transaction."""
    editor = await join(guarded, "a-editor", "editor")
    document = await put(guarded, editor, "kept.md", OPEN_TEXT + "\nMore of it, for a content of its own.\n")
    async with guarded.database.write() as db:
        await db.execute(
            text("ALTER TABLE audit_events ADD CONSTRAINT full_disk CHECK (action <> 'delete') NOT VALID")
        )
    try:
        with acting(editor), pytest.raises(Exception, match="full_disk"):
            await guarded.documents.delete([document])
    finally:
        async with guarded.database.write() as db:
            await db.execute(text("ALTER TABLE audit_events DROP CONSTRAINT full_disk"))
    with acting(editor):
        assert (await guarded.documents.get(document)).id == document


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_events SET who = 'somebody else'", "DELETE FROM audit_events", "TRUNCATE audit_events"],
)
async def test_the_database_refuses_to_change_it(guarded: Engine, statement: str) -> None:
    await join(guarded, f"x-{statement.split()[0].lower()}")
    with pytest.raises(Exception, match="never changed"):
        async with guarded.database.write() as db:
            await db.execute(text(statement))


async def test_what_is_older_than_the_setting_goes(guarded: Engine) -> None:
    async with guarded.database.write() as db:
        for days in (400, 100):
            await db.execute(
                text(
                    "INSERT INTO audit_events (at, action, subject, done, outcome, via)"
                    f" VALUES (now() - interval '{days} days', 'old', '{days}', true, '', '')"
                )
            )
    with acting(SYSTEM):
        assert await guarded.entrance.audit.prune(0) == 0
        assert await guarded.entrance.audit.prune(365) == 1
    assert [event.subject for event in await events(guarded, action="old")] == ["100"]


async def test_its_table_is_no_formula(guarded: Engine) -> None:
    await put(guarded, await join(guarded, "=cmd()", "editor"), "+1.md", OPEN_TEXT + "\nAnd a little more.\n")
    rows = list(csv.DictReader(io.StringIO(as_csv(await events(guarded, action="upload")))))
    assert (rows[0]["who"], rows[0]["subject"]) == ("'=cmd()", "'+1.md")


async def test_without_access_control_questions_leave_no_record(engine: Engine) -> None:
    await engine.ask("What is refunded?")
    assert await engine.entrance.audit.list() == []
