"""Documents over REST: in, found, cited, edited, deleted and back."""

from __future__ import annotations

import asyncio
import tempfile
import unicodedata
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2 as httpx
import pytest

from engine.documents.jobs import Upload
from engine.documents.queries import DocumentQuery
from engine.engine import Engine
from tests.conftest import OpenEngine

from .conftest import serving, settled

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def own(open_test_engine: OpenEngine) -> AsyncIterator[tuple[Engine, httpx.AsyncClient]]:
    """An engine that these tests change."""
    async with open_test_engine() as engine, serving(engine) as client:
        yield engine, client


async def finished(client: httpx.AsyncClient, location: str) -> dict[str, object]:
    while not (job := (await client.get(location)).json())["finished"]:
        await asyncio.sleep(0.05)
    return job


async def test_a_vietnamese_file_goes_in_and_is_cited_with_every_mark(
    own: tuple[Engine, httpx.AsyncClient],
) -> None:
    _, client = own
    sentence = "Hồ sơ đề xuất phải được niêm phong, ghi rõ “Không mở trước 9 giờ ngày mở thầu”."
    name = "Quy định niêm phong ằẵ.md"
    text = f"# Niêm phong hồ sơ\n\n{unicodedata.normalize('NFD', sentence)}\n"
    sent = await client.post("/api/documents", files=[("files", (name, text.encode(), "text/markdown"))])
    assert sent.status_code == 202
    job = await finished(client, sent.headers["location"])
    assert [(file["file_name"], file["stage"]) for file in job["files"]] == [(name, "done")]

    answer = (await client.post("/api/ask", json={"question": "Hồ sơ đề xuất niêm phong thế nào?"})).json()
    cited = answer["citations"][0]
    assert (cited["quote"], cited["number"]) == (sentence, 1)
    assert sentence in answer["text"]
    assert answer["timings"]["total"] > 0

    stored = (await client.get(f"/api/documents/{cited['document_id']}")).json()
    assert stored["file_name"] == name
    passage = next(p for p in stored["passages"] if p["id"] == cited["passage_id"])
    assert passage["text"][cited["start"] : cited["end"]] == sentence


async def test_a_bad_file_fails_by_name_and_the_others_go_in(own: tuple[Engine, httpx.AsyncClient]) -> None:
    _, client = own
    files = [
        ("files", ("broken.pdf", b"%PDF-1.7 nothing", "application/pdf")),
        ("files", ("fine.txt", b"Ladders are inspected every spring.", "text/plain")),
    ]
    sent = await client.post("/api/documents", files=files)
    broken, fine = (await finished(client, sent.headers["location"]))["files"]
    assert (broken["stage"], fine["stage"]) == ("failed", "done")
    assert "broken.pdf" in broken["message"]
    assert tempfile.gettempdir() not in str(broken)


async def test_a_large_file_waits_on_disk_and_leaves_nothing_there(
    own: tuple[Engine, httpx.AsyncClient],
) -> None:
    _engine, client = own

    def lying() -> list[Path]:
        return [*Path(tempfile.gettempdir()).glob("dossier-*/0")]

    before = lying()
    large = b"The gate is closed at nine. " + b"\n\n" * 700_000
    sent = await client.post("/api/documents", files={"files": ("gate.txt", large, "text/plain")})
    job = await finished(client, sent.headers["location"])
    assert job["files"][0]["stage"] == "done"
    assert await settled(lambda: lying() == before)


@pytest.mark.parametrize(
    "sort", ["title", "type", "status", "language", "passages", "size", "published", "updated"]
)
@pytest.mark.parametrize("descending", [True, False])
async def test_pages_tile_the_list_in_every_order(
    listed: tuple[Engine, httpx.AsyncClient], sort: str, descending: bool
) -> None:
    engine, client = listed
    seen: list[int] = []
    cursor: str | None = None
    while True:
        asked = {"sort": sort, "descending": descending, "limit": 3} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/api/documents", params=asked)).json()
        assert len(page["documents"]) <= 3
        seen += [document["id"] for document in page["documents"]]
        if (cursor := page["next_cursor"]) is None:
            break
    whole = await engine.documents.list(DocumentQuery(sort=sort, descending=descending))  # type: ignore[arg-type]
    assert seen == [document.id for document in whole.rows]
    assert len(seen) == 8


@pytest.fixture(scope="module")
async def listed(open_test_engine: OpenEngine) -> AsyncIterator[tuple[Engine, httpx.AsyncClient]]:
    """Eight documents; some have no date, some share one, some have the same title."""
    async with open_test_engine() as engine, serving(engine) as client:
        uploads = [Upload(f"note {n}.md", f"# Title {n // 2}\n\nNote number {n}.".encode()) for n in range(8)]
        await engine.ingestion.wait((await engine.ingestion.submit(uploads)).id)
        for n, document in enumerate((await engine.documents.list(DocumentQuery())).rows):
            if n % 2:
                changed = {"published_on": f"2024-0{n // 3 + 1}-01", "tags": ["odd"]}
                assert (await client.patch(f"/api/documents/{document.id}", json=changed)).status_code == 200
        yield engine, client


async def test_a_page_is_not_moved_by_what_comes_or_goes(listed: tuple[Engine, httpx.AsyncClient]) -> None:
    _engine, client = listed
    order = {"sort": "size", "limit": 4}
    first = (await client.get("/api/documents", params=order)).json()
    gone = first["documents"][0]["id"]
    try:
        await client.delete(f"/api/documents/{gone}")
        second = (await client.get("/api/documents", params=order | {"cursor": first["next_cursor"]})).json()
    finally:
        await client.post(f"/api/documents/{gone}/restore")
    both = [d["id"] for page in (first, second) for d in page["documents"]]
    assert len(both) == len(set(both)) == 8


async def test_filters_restrict_the_list(listed: tuple[Engine, httpx.AsyncClient]) -> None:
    _, client = listed

    async def count(**filters: object) -> int:
        return len((await client.get("/api/documents", params=filters)).json()["documents"])

    assert await count(tag="odd") == 4
    assert await count(type=["md", "pdf"]) == 8
    assert await count(type="pdf") == 0
    assert await count(text="note 7") == 1
    assert await count(published_from="2024-01-01", published_to="2024-01-31") == 1
    assert await count(status="active", tag="odd") == 4
    assert await count(status="draft") == 0


@pytest.mark.parametrize(
    "day", [0, "0", "1700000000", "2024-1-31", "20240131", "2024-01-31T00:00:00", "2024-02-30"]
)
async def test_a_date_is_a_day_written_out(listed: tuple[Engine, httpx.AsyncClient], day: object) -> None:
    _, client = listed
    one = (await client.get("/api/documents?limit=1")).json()["documents"][0]["id"]
    asked = await client.get("/api/documents", params={"published_to": str(day)})
    searched = await client.post("/api/search", json={"query": "note", "filter": {"published_to": day}})
    changed = await client.patch(f"/api/documents/{one}", json={"expires_on": day})
    assert [asked.status_code, searched.status_code, changed.status_code] == [422] * 3
    assert "published_to" in asked.text


async def test_another_lists_cursor_is_refused(listed: tuple[Engine, httpx.AsyncClient]) -> None:
    _, client = listed
    cursor = (await client.get("/api/documents?sort=size&limit=1")).json()["next_cursor"]
    for asked in (
        f"sort=title&cursor={cursor}",
        "cursor=eyJh",
        "cursor=W10",
        "sort=size&cursor=WyJzaXplIix0cnVlLDEsMF0",
    ):
        refused = await client.get(f"/api/documents?{asked}")
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/query/cursor"), asked


async def test_metadata_is_changed_where_it_is_named_and_only_there(
    listed: tuple[Engine, httpx.AsyncClient],
) -> None:
    _, client = listed
    one = (await client.get("/api/documents?limit=1&sort=title")).json()["documents"][0]["id"]
    dates = {"effective_on": "2025-01-01", "expires_on": "2025-12-31"}
    changed = (await client.patch(f"/api/documents/{one}", json=dates | {"tags": ["a", "b"]})).json()
    assert changed["metadata"] | dates | {"tags": ["a", "b"]} == changed["metadata"]
    cleared = (await client.patch(f"/api/documents/{one}", json={"expires_on": None})).json()["metadata"]
    assert (cleared["expires_on"], cleared["effective_on"]) == (None, "2025-01-01")
    wrong = await client.patch(f"/api/documents/{one}", json={"expires_on": "2024-12-31"})
    assert wrong.status_code == 422
    assert "expire before" in wrong.json()["detail"]


async def test_a_deleted_document_comes_back(own: tuple[Engine, httpx.AsyncClient]) -> None:
    _, client = own
    sent = await client.post("/api/documents", files={"files": ("kayak.txt", b"Kayaks lie in shed nine.")})
    document_id = (await finished(client, sent.headers["location"]))["files"][0]["document_id"]
    asked = {"question": "Where do the kayaks lie?"}
    address = f"/api/documents/{document_id}"
    assert (await client.delete(address)).status_code == 204
    assert (await client.get(address)).status_code == 404
    assert "shed nine" not in (await client.post("/api/ask", json=asked)).text
    assert (await client.post(f"{address}/restore")).json()["id"] == document_id
    assert "shed nine" in (await client.post("/api/ask", json=asked)).json()["text"]
    assert (await client.post(f"{address}/restore")).status_code == 404


async def test_passages_come_in_pages(own: tuple[Engine, httpx.AsyncClient]) -> None:
    _engine, client = own
    text = "\n\n".join(f"# Part {n}\n\n" + f"Sentence about number {n}. " * 40 for n in range(5))
    sent = await client.post("/api/documents", files={"files": ("parts.md", text.encode())})
    document_id = (await finished(client, sent.headers["location"]))["files"][0]["document_id"]
    seen: list[int] = []
    offset: int | None = 0
    while offset is not None:
        page = (await client.get(f"/api/documents/{document_id}?limit=2&offset={offset}")).json()
        seen += [passage["position"] for passage in page["passages"]]
        offset = page["next_offset"]
    assert seen == [*range(page["passage_count"])]
    assert len(seen) > 2


async def test_the_summary_counts_what_is_there(listed: tuple[Engine, httpx.AsyncClient]) -> None:
    _, client = listed
    summary = (await client.get("/api/documents/stats/summary")).json()
    assert (summary["documents"], summary["by_type"]) == (8, {"md": 8})


async def test_search_and_rerank(client: httpx.AsyncClient) -> None:
    question = "Mức bảo đảm dự thầu là bao nhiêu?"
    for search in ("bm25", "dense", "hybrid"):
        found = (
            await client.post("/api/search", json={"question": question, "k": 2, "search": search})
        ).json()
        assert "2% giá gói thầu" in found["passages"][0]["text"], search
    best = found["passages"][0]["passage_id"]
    texts = ["Trains are booked in second class.", best, "Mức bảo đảm dự thầu là 2% giá gói thầu."]
    ranked = (await client.post("/api/rerank", json={"question": question, "passages": texts})).json()
    assert {(r["index"], r["passage_id"]) for r in ranked["results"][:2]} == {(1, best), (2, None)}
    assert ranked["reranker"] == "built-in"
    missing = await client.post("/api/rerank", json={"question": question, "passages": [999_999]})
    assert missing.status_code == 404
