"""Documents as people handle them: lists, edits, deletions that can be undone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date

import pytest

from engine.documents.jobs import Upload
from engine.documents.model import Document, DocumentFilter
from engine.documents.queries import DocumentQuery
from engine.engine import Engine
from engine.errors import BadInput, NotFound

from ..conftest import OpenEngine

pytestmark = pytest.mark.anyio

FILES = {
    "quy-chế.md": "# Quy chế mua sắm\n\n## Điều 1. Phạm vi\n\nQuy chế này áp dụng cho mọi đơn vị.\n",
    "travel.md": "# Travel policy\n\n## Booking\n\nFlights are booked ten days ahead.\n\n"
    "## Meals\n\nForty euros a day.\n",
    "notes.txt": "The office closes at six in the evening, and the alarm is set by the last to leave.\n",
}


@pytest.fixture
async def stocked(open_test_engine: OpenEngine) -> AsyncIterator[Engine]:
    async with open_test_engine() as engine:
        await ingest(engine, FILES)
        yield engine


async def ingest(engine: Engine, files: dict[str, str]) -> None:
    job = await engine.ingestion.submit([Upload(name, text.encode()) for name, text in files.items()])
    job = await engine.ingestion.wait(job.id)
    assert {file.stage for file in job.files} <= {"done", "replaced", "unchanged"}, job


async def named(engine: Engine, file_name: str) -> Document:
    rows = (await engine.documents.list(DocumentQuery())).rows
    return next(row for row in rows if row.file_name == file_name)


async def titles(engine: Engine, **query: object) -> list[str]:
    found = await engine.documents.list(DocumentQuery(sort="title", descending=False, **query))  # type: ignore[arg-type]
    return [row.metadata.title for row in found.rows]


async def test_a_row_is_a_document_not_a_passage(stocked: Engine) -> None:
    listed = await stocked.documents.list(DocumentQuery())
    assert listed.total == len(FILES)
    assert (await stocked.documents.statistics()).documents == len(FILES)


async def test_lists_are_searched_without_diacritics_sorted_and_cut(stocked: Engine) -> None:
    assert await titles(stocked, filter=DocumentFilter(text="quy che MUA")) == ["Quy chế mua sắm"]
    assert await titles(stocked, filter=DocumentFilter(languages=("vi",))) == ["Quy chế mua sắm"]
    everything = await titles(stocked)
    assert await titles(stocked, offset=1, limit=1) == everything[1:2]


async def test_a_percent_sign_is_a_character_not_a_wildcard(stocked: Engine) -> None:
    assert await titles(stocked, filter=DocumentFilter(text="%")) == []


async def test_edits_are_kept_when_a_new_version_arrives(stocked: Engine) -> None:
    before = await named(stocked, "travel.md")
    edited = replace(before.metadata, title="How we travel", tags=("hr", " hr ", "travel,rules"))
    after = await stocked.documents.update(before.id, edited)
    assert (after.metadata.title, after.metadata.tags) == ("How we travel", ("hr", "travel rules"))
    await ingest(stocked, {"travel.md": "# Travel rules\n\nFlights are booked twenty days ahead.\n"})
    again = await named(stocked, "travel.md")
    assert (again.id, again.version, again.metadata.title) == (before.id, 2, "How we travel")
    found = await stocked.search("how early are flights booked")
    assert "twenty" in found[0].passage.text
    assert not any("ten days" in candidate.passage.text for candidate in found)


async def test_editors_at_once_leave_each_others_fields_alone(stocked: Engine) -> None:
    document = await named(stocked, "travel.md")
    was = document.metadata
    for edit in ({"title": "How we travel"}, {"status": "draft"}, {"tags": ("hr",)}):
        await stocked.ingestion.edit(document.id, replace(was, **edit), was)  # all from the same reading
    after = (await stocked.documents.get(document.id)).metadata
    assert after == replace(was, title="How we travel", status="draft", tags=("hr",))
    # One that makes no sense together with another's is refused.
    await stocked.documents.update(document.id, replace(was, effective_on=date(2026, 2, 1)), was)
    with pytest.raises(BadInput):
        await stocked.documents.update(document.id, replace(was, expires_on=date(2026, 1, 1)), was)


async def test_the_same_content_again_changes_nothing(stocked: Engine) -> None:
    job = await stocked.ingestion.submit([Upload("copy of travel.md", FILES["travel.md"].encode())])
    job = await stocked.ingestion.wait(job.id)
    assert job.files[0].stage == "unchanged"
    assert "travel.md" in job.files[0].message
    assert (await named(stocked, "travel.md")).version == 1


async def test_edits_that_make_no_sense_are_refused_and_change_nothing(stocked: Engine) -> None:
    document = await named(stocked, "travel.md")
    for wrong in (
        replace(document.metadata, title="  "),
        replace(document.metadata, superseded_by=document.id),
        replace(document.metadata, effective_on=date(2026, 2, 1), expires_on=date(2026, 1, 1)),
    ):
        with pytest.raises(BadInput):
            await stocked.documents.update(document.id, wrong)
    with pytest.raises(NotFound):
        await stocked.documents.update(document.id, replace(document.metadata, superseded_by=999_999))
    assert await stocked.documents.get(document.id) == document


async def test_a_deleted_document_is_gone_everywhere_until_restored(stocked: Engine) -> None:
    document = await named(stocked, "travel.md")
    assert await stocked.documents.delete([document.id]) == 1
    assert "Travel policy" not in await titles(stocked)
    assert not any(c.passage.document_id == document.id for c in await stocked.search("flights booked ahead"))
    with pytest.raises(NotFound):
        await stocked.documents.get(document.id)
    assert await stocked.documents.restore([document.id]) == 1
    assert (await stocked.search("flights booked ahead"))[0].passage.document_id == document.id


async def test_a_deleted_file_ingested_again_is_not_doubled_by_undo(stocked: Engine) -> None:
    document = await named(stocked, "travel.md")
    await stocked.documents.delete([document.id])
    await ingest(stocked, {"travel.md": FILES["travel.md"]})
    assert await stocked.documents.restore([document.id]) == 0
    assert (await titles(stocked)).count("Travel policy") == 1
    newer = await named(stocked, "travel.md")
    await stocked.documents.delete([newer.id])
    assert await stocked.documents.restore([document.id, newer.id]) == 1
    assert (await named(stocked, "travel.md")).id == newer.id


async def test_filters_hold_inside_the_search(stocked: Engine) -> None:
    document = await named(stocked, "notes.txt")
    await stocked.documents.update_many([document.id], add_tags=["office"], status="expired")
    for filter in (
        DocumentFilter(tags=("office",)),
        DocumentFilter(statuses=("expired",)),
        DocumentFilter(document_ids=(document.id,)),
        DocumentFilter(types=("txt",)),
    ):
        found = await stocked.search("flights booked ahead", filter=filter)
        assert {candidate.passage.document_id for candidate in found} == {document.id}
    assert await stocked.search("flights", filter=DocumentFilter(tags=("no such tag",))) == []


async def test_a_document_in_force_comes_before_its_superseded_twin(stocked: Engine) -> None:
    text = "# Parking\n\nParking costs {} euros a month in the north garage.\n"
    await ingest(
        stocked, {"parking-2024.md": text.format("twenty"), "parking-2025.md": text.format("thirty")}
    )
    old, new = await named(stocked, "parking-2024.md"), await named(stocked, "parking-2025.md")
    await stocked.documents.update(old.id, replace(old.metadata, status="superseded", superseded_by=new.id))
    found = await stocked.search("what does parking cost a month")
    assert [c.passage.document_id for c in found[:2]] == [new.id, old.id]
    assert found[1].passage.document_status == "superseded"


async def test_outline_passages_and_file_of_one_document(stocked: Engine) -> None:
    document = await named(stocked, "travel.md")
    headings = [entry.heading for entry in await stocked.documents.outline(document.id)]
    assert {"Booking", "Meals"} <= set(headings)
    passages = await stocked.documents.passages(document.id)
    assert len(passages) == document.passage_count
    assert await stocked.documents.file(document.id) == FILES["travel.md"].encode()
