"""The operations page: what runs, what the caches hold, and what operators do."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app.bridge import Bridge

from .conftest import OpenTab, Serve

QUESTION = "Cổng đóng lúc mấy giờ?"


@pytest.fixture(scope="module")
def bridge(serve: Serve) -> Iterator[Bridge]:
    with serve() as bridge:
        yield bridge


def open_operations(open_tab: OpenTab) -> AppTest:
    tab = open_tab()
    tab.switch_page("../pages/operations.py").run()
    assert not tab.exception
    return tab


def table(tab: AppTest, column: str) -> pd.DataFrame | None:
    found = [frame.value for frame in tab.dataframe if column in frame.value.columns]
    return found[0] if found else None


def entries(bridge: Bridge, layer: str) -> int:
    layers = bridge.call(lambda engine: engine.cache_report())
    return next(told.usage.entries for told in layers if told.name == layer and told.usage)


def fill(bridge: Bridge) -> None:
    bridge.call(lambda engine: engine.ask(QUESTION))
    bridge.call(lambda engine: engine.caches.drain())


def test_what_was_asked_for_and_what_runs_are_told(bridge: Bridge, open_tab: OpenTab) -> None:
    features = table(open_operations(open_tab), "Asked for")
    assert features is not None
    rows = features.set_index("Feature")
    assert rows.loc["Redis sessions", "Running"] == "off"
    assert "pgvector" in rows.loc["database", "Running"]
    assert rows["Since (UTC)"].notna().all()


def test_a_layer_is_cleared_only_once_that_is_confirmed(bridge: Bridge, open_tab: OpenTab) -> None:
    fill(bridge)
    tab = open_operations(open_tab)
    assert table(tab, "Outcome") is None
    tab.button(key="clear-L3").click().run()
    assert "PostgreSQL" in " ".join(text.value for text in tab.markdown)
    tab.button(key="keep-layer").click().run()
    assert entries(bridge, "L3") > 0
    assert table(tab, "Outcome") is None

    tab.button(key="clear-L3").click().run()
    tab.button(key="clear-layer").click().run()
    assert entries(bridge, "L3") == 0
    assert entries(bridge, "L1") > 0
    assert "Cleared" in tab.success[0].value
    actions = table(tab, "Outcome")
    assert actions is not None
    assert (actions["Of"][0], actions["From"][0]) == ("L3", "Operations page")
    # The next one who opens the page sees what was done, and is told of it no second time.
    other = open_operations(open_tab)
    assert not other.success
    seen = table(other, "Outcome")
    assert seen is not None and seen["Of"][0] == "L3"


def test_layers_not_in_use_have_no_button(bridge: Bridge, open_tab: OpenTab) -> None:
    tab = open_operations(open_tab)
    layers = table(tab, "Hit rate")
    assert layers is not None
    assert [*layers["Layer"]] == ["L1", "L3"]
    assert {button.key for button in tab.button if (button.key or "").startswith("clear-")} == {
        "clear-L1",
        "clear-L3",
    }


def test_slow_questions_are_listed_as_they_were_asked(bridge: Bridge, open_tab: OpenTab) -> None:
    fill(bridge)
    questions = table(open_operations(open_tab), "Question")
    assert questions is not None
    assert QUESTION in [*questions["Question"]]


def test_every_part_is_tried_on_demand(bridge: Bridge, open_tab: OpenTab) -> None:
    tab = open_operations(open_tab)
    assert table(tab, "What to do") is None
    tab.button(key="diagnose").click().run()
    checks = table(tab, "What to do")
    assert checks is not None
    assert "database" in {*checks["Part"]}
    assert not [status for status in checks["Status"] if "failed" in status]
