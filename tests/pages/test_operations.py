"""The operations page: what runs, what the caches hold, and what operators do."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app.bridge import Bridge
from app.operations.charts import chosen
from engine import Engine
from engine.observability.history import FINEST

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


def measured(bridge: Bridge) -> None:
    """End the stretch that is being measured, and have it written."""

    async def now(engine: Engine) -> None:
        await engine.history.look(time.time() + FINEST)
        await engine.history.write()

    bridge.call(now)


def test_the_charts_say_what_was_measured_and_in_which_unit(bridge: Bridge, open_tab: OpenTab) -> None:
    fill(bridge)
    measured(bridge)
    recorded = bridge.call(lambda engine: engine.measured("15 min"))
    figures = {key: chart(recorded) for key, chart in chosen(recorded).items()}
    assert "pgbouncer" not in figures  # it is off
    for figure in figures.values():
        assert "(" in figure["layout"]["title"]["text"]
        assert all(len(trace["x"]) == len(trace["y"]) for trace in figure["data"])
    asked = sum(value or 0 for trace in figures["throughput"]["data"] for value in trace["y"])
    assert asked > 0
    limit = next(trace for trace in figures["pool"]["data"] if trace["name"] == "limit")
    assert {value for value in limit["y"] if value is not None} == {5.0}
    stages = {trace["name"] for trace in figures["stages"]["data"]}
    assert {"embedding", "search"} <= stages

    tab = open_operations(open_tab)
    assert len(tab.get("plotly_chart")) == len(figures)
    assert any("needs 30 questions" in caption.value for caption in tab.caption)
    tab.segmented_control(key="range").set_value("30 days").run()
    assert not tab.exception
    assert len(tab.get("plotly_chart")) == len(figures)


def test_draining_is_confirmed_told_on_every_page_and_undone(bridge: Bridge, open_tab: OpenTab) -> None:
    tab = open_operations(open_tab)
    tab.button(key="drain").click().run()
    assert not bridge.draining
    tab.button(key="drain-now").click().run()
    assert bridge.draining
    assert any("nothing is under way" in text.value for text in tab.markdown)
    other = open_tab()
    assert "about to stop" in other.warning[0].value
    other.chat_input[0].set_value("Which gate?").run()
    assert not other.exception
    assert any("takes no new questions" in error.value for error in other.error)
    tab.button(key="serve-again").click().run()
    assert not bridge.draining
    assert not open_tab().warning
    actions = table(tab, "Outcome")
    assert actions is not None and [*actions["Action"][:2]] == ["Serve again", "Drain"]


def test_a_model_is_reloaded_while_questions_go_on(bridge: Bridge, open_tab: OpenTab) -> None:
    tab = open_operations(open_tab)
    key = "reload-embedder multilingual-e5-small"
    tab.button(key=key).click().run()
    tab.button(key="reload-now").click().run(timeout=60)
    assert "Loaded anew" in tab.success[0].value
    assert bridge.call(lambda engine: engine.search("Which gate is new?")) == []
