"""The Rerankers page: compare, vote, judge, import, run, look, and make the default."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app.bridge import Bridge
from app.rerankers.state import VIEWS
from engine import Engine
from engine.evaluation.model import RunSummary
from tests.evaluation.conftest import questions_on_documents, stock

from .conftest import OpenTab, Serve

QUESTION = "How much is refunded for meals abroad?"


@pytest.fixture(scope="module")
def bridge(serve: Serve) -> Iterator[Bridge]:
    with serve() as bridge:
        bridge.call(stock)
        yield bridge


def open_rerankers(open_tab: OpenTab, view: str = VIEWS[0]) -> AppTest:
    tab = open_tab()
    tab.switch_page("../pages/rerankers.py").run()
    if view != VIEWS[0]:
        tab.segmented_control[0].set_value(view).run()
    assert not tab.exception
    return tab


def table(tab: AppTest, column: str) -> pd.DataFrame:
    return next(frame.value for frame in tab.dataframe if column in frame.value.columns)


def html(tab: AppTest) -> str:
    return " ".join(element.body for element in tab.get("html") if hasattr(element, "body"))


def compare(tab: AppTest, question: str = QUESTION, *, blind: bool = False) -> AppTest:
    tab.text_input(key="compare-question-0").set_value(question)
    tab.toggle(key="blind").set_value(blind)
    next(button for button in tab.button if button.label == "Compare").click().run()
    assert not tab.exception
    return tab


def test_two_lists_stand_side_by_side_with_scores_and_times(bridge: Bridge, open_tab: OpenTab) -> None:
    tab = compare(open_rerankers(open_tab))
    shown = html(tab)
    assert "<h3>none</h3>" in shown and "<h3>built-in</h3>" in shown
    assert " ms" in shown and "reranker 0." in shown
    assert tab.get("plotly_chart")


def test_a_blind_vote_is_kept_and_only_then_the_names_are_told(bridge: Bridge, open_tab: OpenTab) -> None:
    tab = compare(open_rerankers(open_tab), blind=True)
    shown = html(tab)
    assert "<h3>A</h3>" in shown and "built-in" not in shown and " ms" not in shown
    tab.button(key="vote-left").click().run()
    assert "A was" in tab.success[0].value
    assert "<h3>built-in</h3>" in html(tab)
    (votes,) = bridge.call(lambda engine: engine.comparison.votes())
    assert votes.blind == 1 and votes.left_wins + votes.right_wins == 1


def test_one_reranker_is_no_comparison_and_an_empty_question_is_told(
    bridge: Bridge, open_tab: OpenTab
) -> None:
    tab = open_rerankers(open_tab)
    tab.pills(key="compare-rerankers-0").set_value(["none"])
    compare(tab)
    assert "two" in tab.warning[0].value
    tab = open_rerankers(open_tab)
    compare(tab, "?!")
    assert "no question" in tab.error[0].value


def test_passages_are_marked_relevant(bridge: Bridge, open_tab: OpenTab) -> None:
    tab = compare(open_rerankers(open_tab))
    relevant = next(field for field in tab.multiselect if field.label == "Passages that answer it")
    first = bridge.call(lambda engine: engine.search(QUESTION, k=1))[0].passage.id
    relevant.set_value([first]).run()
    tab.button(key="judge").click().run()
    assert not tab.exception
    (made,) = [
        s for s in bridge.call(lambda engine: engine.comparison.sets.list()) if s.name == "My questions"
    ]
    assert (made.question_count, made.judged_count) == (1, 1)


@pytest.fixture(scope="module")
def run(bridge: Bridge) -> RunSummary:
    async def measured(engine: Engine) -> RunSummary:
        made = (await engine.comparison.import_set("Handbook", questions_on_documents())).set
        run = await engine.comparison.runs.start(made.id, ["none", "built-in"], "First look")
        return await engine.comparison.runs.wait(run.id)

    return bridge.call(measured)


def test_a_set_is_shown_deleted_and_brought_back(bridge: Bridge, open_tab: OpenTab, run: RunSummary) -> None:
    tab = open_rerankers(open_tab, VIEWS[1])
    tab.selectbox(key="open-set-0").set_value(run.set_id).run()
    questions = table(tab, "Answered by")
    assert QUESTION in [*questions["Question"]] and "nothing" in [*questions["Answered by"]]
    tab.button(key="delete-set").click().run()
    assert run.set_id not in [s.id for s in bridge.call(lambda engine: engine.comparison.sets.list())]
    tab.button(key="restore-set").click().run()
    assert not tab.exception
    assert run.set_id in [s.id for s in bridge.call(lambda engine: engine.comparison.sets.list())]


def test_a_run_is_begun_here(bridge: Bridge, open_tab: OpenTab, run: RunSummary) -> None:
    tab = open_rerankers(open_tab, VIEWS[2])
    tab.selectbox(key="run-set-0").set_value(run.set_id)
    tab.text_input(key="run-name").set_value("From the page")
    next(button for button in tab.button if button.label == "Run").click().run()
    assert not tab.exception and not tab.error
    begun = next(
        r for r in bridge.call(lambda engine: engine.comparison.runs.list()) if r.name == "From the page"
    )
    assert bridge.call(lambda engine: engine.comparison.runs.wait(begun.id)).status == "done"


def test_results_tell_quality_time_and_what_is_more_than_chance(
    bridge: Bridge, open_tab: OpenTab, run: RunSummary
) -> None:
    tab = open_rerankers(open_tab, VIEWS[2])
    figures = table(tab, "nDCG@10").set_index("Reranker")
    assert figures.loc["built-in", "nDCG@10"] == 1.0
    assert (figures["p95 (ms)"] >= figures["p50 (ms)"]).all()
    assert table(tab, "p")["Pair"][0] == "none against built-in"
    assert len(tab.get("plotly_chart")) == 2  # quality, and risk against coverage
    assert "of those have no answer" in " ".join(text.value for text in tab.markdown)


def test_the_default_is_changed_only_once_that_is_confirmed_and_goes_back(
    bridge: Bridge, open_tab: OpenTab, run: RunSummary
) -> None:
    tab = open_rerankers(open_tab, VIEWS[2])
    next(box for box in tab.selectbox if box.label == "Default reranker").set_value("none").run()
    tab.button(key="make-default").click().run()
    tab.button(key="keep-default").click().run()
    assert bridge.call(lambda engine: engine.operations.choices.reranker()) == "built-in"
    tab.button(key="make-default").click().run()
    tab.button(key="choose").click().run()
    assert bridge.call(lambda engine: engine.operations.choices.reranker()) == "none"
    assert "in every process" in tab.success[0].value
    tab.button(key="revert-default reranker").click().run()
    assert bridge.call(lambda engine: engine.operations.choices.reranker()) == "built-in"


def test_the_threshold_is_picked_on_the_curve(bridge: Bridge, open_tab: OpenTab, run: RunSummary) -> None:
    tab = open_rerankers(open_tab, VIEWS[2])
    assert tab.button(key="use-threshold").disabled
    tab.slider(key="threshold").set_value(0.9).run()
    tab.button(key="use-threshold").click().run()
    tab.button(key="choose").click().run()
    assert bridge.call(lambda engine: engine.operations.choices.threshold()) == 0.9
    bridge.call(lambda engine: engine.operations.choose("answer threshold", None))


def test_live_tells_what_to_set_where_there_is_no_challenger(bridge: Bridge, open_tab: OpenTab) -> None:
    tab = open_rerankers(open_tab, VIEWS[3])
    assert "CHALLENGER_RERANKER" in " ".join(text.value for text in tab.caption)
