"""The Rerankers page over what takes its time, brings documents, comes from chat or from live questions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from app.bridge import Bridge
from app.rerankers.runs import time_left
from app.rerankers.state import VIEWS
from engine import Engine
from engine.evaluation.model import QuestionSet, RunSummary
from tests.evaluation.conftest import jsonl, packed, questions_on_documents, stock
from tests.rerank_server import RerankServer, Scripted

from .conftest import OpenTab, Serve
from .test_rerankers import html, open_rerankers, table


@pytest.fixture(scope="module")
def rerank_server() -> Iterator[RerankServer]:
    with RerankServer() as server:
        yield server


@pytest.fixture(scope="module")
def bridge(
    serve: Serve, rerank_server: RerankServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bridge]:
    with serve(
        bge_model_name=str(tmp_path_factory.mktemp("no-model")),
        reranker_url=rerank_server.address,
        reranker_timeout_seconds=60.0,
        challenger_reranker="remote",
        challenger_share=1.0,
    ) as bridge:
        bridge.call(stock)
        yield bridge


@pytest.fixture(scope="module")
def handbook(bridge: Bridge) -> QuestionSet:
    return bridge.call(lambda engine: engine.comparison.import_set("Handbook", questions_on_documents())).set


def sets(bridge: Bridge) -> dict[str, QuestionSet]:
    return {one.name: one for one in bridge.call(lambda engine: engine.comparison.sets.list())}


def test_a_run_is_cancelled_gone_on_with_and_then_the_one_shown(
    bridge: Bridge, open_tab: OpenTab, handbook: QuestionSet, rerank_server: RerankServer
) -> None:
    async def earlier(engine: Engine) -> RunSummary:
        run = await engine.comparison.runs.start(handbook.id, ["none"], "Earlier")
        return await engine.comparison.runs.wait(run.id)

    bridge.call(earlier)
    tab = open_rerankers(open_tab, VIEWS[2])
    rerank_server.script()
    rerank_server.always = Scripted(hang=True)
    tab.pills(key="run-rerankers-0").set_value(["none", "remote"])
    tab.text_input(key="run-name").set_value("Halved")
    next(button for button in tab.button if button.label == "Run").click().run()
    run = next(r for r in bridge.call(lambda engine: engine.comparison.runs.list()) if r.name == "Halved")
    assert run.status == "running"
    assert [*table(tab, "nDCG@10")["Reranker"]] == ["none"]  # of the earlier one, until there is more
    tab.button(key=f"cancel-{run.id}").click().run()
    assert bridge.call(lambda engine: engine.comparison.runs.get(run.id)).status == "cancelled"
    rerank_server.reset()
    tab.button(key=f"resume-{run.id}").click().run()
    done = bridge.call(lambda engine: engine.comparison.runs.wait(run.id))
    assert (done.status, done.done) == ("done", 6)
    tab.run()
    assert not tab.exception and not tab.error
    assert [*table(tab, "nDCG@10")["Reranker"]] == ["none", "remote"]
    assert next(box for box in tab.selectbox if box.label == "Default reranker").value == "none"

    # A row of wins and losses opens both lists.
    tab.session_state["wins-0"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    tab.run()
    assert not tab.exception
    assert "<h3>none</h3>" in html(tab) and "<h3>remote</h3>" in html(tab)

    tab.segmented_control[0].set_value(VIEWS[2]).run()
    tab.text_input(key=f"name-of-run-{run.id}-1").set_value("Whole")
    tab.button(key=f"do-rename-run-{run.id}-1").click().run()
    assert bridge.call(lambda engine: engine.comparison.runs.get(run.id)).name == "Whole"


def test_a_run_goes_on_without_what_cannot_serve(
    bridge: Bridge, open_tab: OpenTab, handbook: QuestionSet
) -> None:
    async def begin(engine: Engine) -> RunSummary:
        run = await engine.comparison.runs.start(handbook.id, ["none", "bge"])
        return await engine.comparison.runs.wait(run.id)

    run = bridge.call(begin)
    tab = open_rerankers(open_tab, VIEWS[2])
    assert "holds no model" in " ".join(text.value for text in tab.markdown)
    tab.button(key=f"resume-without-{run.id}").click().run()
    assert not tab.exception and not tab.error
    done = bridge.call(lambda engine: engine.comparison.runs.wait(run.id))
    assert (done.status, done.name, done.done) == ("done", "none", 6)


def test_how_long_a_run_still_takes_is_told_from_its_pace(bridge: Bridge, handbook: QuestionSet) -> None:
    run = bridge.call(lambda engine: engine.comparison.runs.start(handbook.id, ["none"]))
    paces: dict[int, tuple[float, int]] = {}

    def told(done: int, now: float) -> str:
        return time_left(paces, replace(run, done=done, total=100), now)

    assert told(10, 1000.0) == told(12, 1024.0) == ""  # too little to tell by
    assert told(20, 1120.0) == "About 16 min left."
    assert told(95, 2020.0) == "A minute or less left."


def test_a_question_taken_out_of_a_set_is_put_back(
    bridge: Bridge, open_tab: OpenTab, handbook: QuestionSet
) -> None:
    tab = open_rerankers(open_tab, VIEWS[1])
    tab.selectbox(key="open-set-0").set_value(handbook.id).run()
    tab.session_state[f"set-questions-{handbook.id}-0-"] = {
        "selection": {"rows": [1], "columns": [], "cells": []}
    }
    tab.run()
    tab.button(key="take-out").click().run()
    assert "In which class are trains booked?" not in [*table(tab, "Answered by")["Question"]]
    assert "take-out" not in [button.key for button in tab.button]  # the next row is not chosen for it
    tab.button(key="restore-question").click().run()
    assert not tab.exception
    assert "In which class are trains booked?" in [*table(tab, "Answered by")["Question"]]


def test_a_set_gets_the_documents_that_it_brought_and_its_questions_are_asked_of_them(
    bridge: Bridge, open_tab: OpenTab
) -> None:
    files = packed(
        corpus=jsonl([{"id": f"r{n}", "text": f"Animal {n} eats leaves at the gate."} for n in range(3)]),
        queries=jsonl([{"id": "1", "text": "What does animal 2 eat?"}]),
        qrels=b"query-id\tdoc-id\tscore\n1\tr2\t1\n",
    )
    made = bridge.call(lambda engine: engine.comparison.import_set("Animals", files)).set
    tab = open_rerankers(open_tab, VIEWS[1])
    tab.selectbox(key="open-set-0").set_value(made.id).run()
    tab.button(key="add-documents").click().run()
    bridge.call(lambda engine: engine.comparison.documents.wait(made.id))
    tab.run()
    assert "are among yours" in " ".join(text.value for text in tab.caption)
    tab.session_state[f"set-questions-{made.id}-0-"] = {
        "selection": {"rows": [0], "columns": [], "cells": []}
    }
    tab.run()
    tab.button(key="compare-on").click().run()
    assert html(tab).count("<li>") == 6  # of both lists: its three documents, and no other
    tab.button(key="compare-all").click().run()
    assert not tab.exception and html(tab).count("<li>") > 6


def test_liked_answers_make_a_set_and_live_shows_both_arms(bridge: Bridge, open_tab: OpenTab) -> None:
    tab = open_rerankers(open_tab, VIEWS[1])
    tab.button(key="chat-set").click().run()
    assert "thumb up" in tab.error[0].value and "From chat" not in sets(bridge)

    async def like(engine: Engine, question: str) -> None:
        session = await engine.sessions.create()
        await engine.ask(question, session_id=session.id)
        await engine.sessions.vote((await engine.sessions.turns(session.id))[-1].id, "up")
        await engine.comparison.live.drain()

    bridge.call(lambda engine: like(engine, "When does the gate close?"))
    tab.button(key="chat-set").click().run()
    assert not tab.exception and not tab.error
    made = sets(bridge)["From chat"]
    assert made.question_count == 1

    bridge.call(lambda engine: like(engine, "Who lends books?"))
    tab.button(key="add-from-chat").click().run()
    assert not tab.exception and sets(bridge)["From chat"].question_count == 2
    key = f"set-{made.id}-2"
    tab.text_input(key=f"name-of-{key}").set_value("Liked").run()
    tab.button(key=f"do-rename-{key}").click().run()
    assert "Liked" in sets(bridge) and "From chat" not in sets(bridge)

    tab.segmented_control[0].set_value(VIEWS[3]).run()
    assert not tab.exception
    agreement, thumbs = table(tab, "Kendall tau"), table(tab, "Share 👍")
    assert [*agreement["Challenger"]] == ["remote"] and [*agreement["Questions"]] == [2]
    assert [*thumbs["👍"]] == [2] and [*thumbs["Share 👍"]] == [1.0]
