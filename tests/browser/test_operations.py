"""The operations page in a real browser: its charts, with pgBouncer and Redis in use, and without them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from app.operations.charts import CHARTS
from tests.redis_server import binaries, running
from tests.storage import pgbouncer

from .conftest import StartServer, Tab, show
from .test_ask import idle, upload
from .test_degraded import MEALS, POLICY, TRAINS, told, watch

DRAWN_MS = 60_000  # the charts' library is large, and the first figures come after some ten seconds

OpenTab = Callable[..., Tab]


def chart(page: Page, key: str) -> Locator:
    return page.locator(f".st-key-chart-{key}")


def drawn(page: Page) -> None:
    """Every chart, with its unit."""
    for key in CHARTS:
        # while one is drawn anew its old title is still there
        expect(chart(page, key).locator(".gtitle").last).to_have_text(
            re.compile(r".+\(.+\)"), timeout=DRAWN_MS
        )


def test_charts_with_pgbouncer_and_redis_and_without(
    database_url: str, start_server: StartServer, open_tab: OpenTab, tmp_path: Path
) -> None:
    postgres = database_url.replace("+asyncpg", "")
    with (
        pgbouncer.running(tmp_path / "pgbouncer", postgres) as bouncer,
        running(tmp_path / "redis", binaries()["valkey"]) as redis,
        start_server(
            DATABASE_URL=database_url,
            DATABASE_SCHEMA="operations_page",
            USE_PGBOUNCER="true",
            PGBOUNCER_URL=bouncer.url,
            ENABLE_REDIS_CACHE="true",
            REDIS_URL=redis.url,
        ) as address,
    ):
        (tmp_path / "policy.md").write_text(POLICY)
        page = watch(open_tab(f"{address}/documents").page)
        upload(page, tmp_path / "policy.md")
        for question in (MEALS, TRAINS, MEALS):
            assert page.request.post(f"{address}/api/ask", data={"question": question}).ok
        page.get_by_role("link", name="Operations", exact=True).click()
        page.get_by_test_id("stButtonGroup").get_by_text("15 min", exact=True).click()
        drawn(page)
        for key, line in (("pgbouncer", "clients with a server"), ("memory", "Redis"), ("hit-rates", "L2")):
            expect(chart(page, key).locator(".legendtext", has_text=line)).to_have_count(1, timeout=DRAWN_MS)
        asked = chart(page, "throughput").locator(".legendtext", has_text="quoted")
        expect(asked).to_have_count(1, timeout=DRAWN_MS)
        idle(page)
        show(page, "operations")

        redis.stop()
        bouncer.stop()
        told(page, "L1 and L3 serve")
        told(page, "not reachable")
        remembered = page.get_by_text("what this process has measured in the last hour")
        expect(remembered).to_be_visible(timeout=DRAWN_MS)
        drawn(page)
        show(page, "operations-broken")

        redis.start()
        bouncer.start()
        expect(remembered).to_have_count(0, timeout=DRAWN_MS)
        told(page, "^Valkey")
        drawn(page)

        narrow = open_tab(f"{address}/operations", width=390, height=844, dark=True).page
        expect(chart(narrow, "throughput").locator(".gtitle").last).to_be_visible(timeout=DRAWN_MS)
        idle(narrow)
        show(narrow, "operations-narrow")
        assert narrow.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for tab in (page, narrow):  # they ask again and again, and would complain of a server that has gone
            tab.goto("about:blank")
