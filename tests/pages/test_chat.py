"""The chat page: asking, seeing what an answer stands on, and finding it again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from uuid import UUID

import pytest
from streamlit.testing.v1 import AppTest

from app.bridge import Bridge
from engine.answering.model import AnswerText
from engine.chat.model import Session
from engine.documents.jobs import Upload
from tests.openai_server import OpenAIServer, Reply

from .conftest import OpenTab, Serve

FILES = {
    "mua sắm.md": "# Quy chế mua sắm\n\n## Điều 5. Bảo đảm dự thầu\n\n"
    "Mức bảo đảm dự thầu là 2% giá gói thầu. Bảo đảm có hiệu lực 120 ngày.\n",
    "travel.md": "# Travel policy\n\n## Meals\n\nMeals abroad are refunded up to 45 euros a day. "
    "Receipts are handed in within ten days.\n\n## Trains\n\nTrains are booked in second class.\n",
    "hostile <b>.txt": "Kraken protocol\n\nThe kraken protocol says <script>alert(1)</script> "
    "<img src=x onerror=alert(2)> "
    "![x](http://evil.example/x.png) [here](javascript:alert(3)) $x^2$ :material/home: :red[blood] ends.\n",
}
MEALS = "Meals abroad are refunded up to 45 euros a day."


def stock(bridge: Bridge) -> None:
    uploads = [Upload(name, text.encode()) for name, text in FILES.items()]
    job = bridge.call(lambda engine: engine.ingestion.submit(uploads))
    finished = bridge.call(lambda engine: engine.ingestion.wait(job.id))
    assert all(file.stage == "done" for file in finished.files), finished


@pytest.fixture(scope="module")
def bridge(serve: Serve) -> Iterator[Bridge]:
    with serve() as bridge:
        stock(bridge)
        yield bridge


def put(bridge: Bridge, name: str, text: str) -> None:
    """Put a new version in the place of a document."""
    job = bridge.call(lambda engine: engine.ingestion.submit([Upload(name, text.encode())]))
    finished = bridge.call(lambda engine: engine.ingestion.wait(job.id))
    assert [file.stage for file in finished.files] == ["replaced"], finished


def ask(tab: AppTest, question: str) -> AppTest:
    return tab.chat_input[0].set_value(question).run()


def html(tab: AppTest) -> str:
    """All HTML of the page but its own style sheet and scripts."""
    return "\n".join(
        element.value for element in tab.html if not element.value.startswith(("<style", "<script "))
    )


def press(tab: AppTest, label: str) -> AppTest:
    return next(button for button in tab.button if label in button.label).click().run()


def choose_source(tab: AppTest, number: int) -> AppTest:
    group = next(group for group in tab.button_group if (group.key or "").startswith("source-"))
    return group.set_value(number).run()


def sessions(bridge: Bridge) -> list[Session]:
    return bridge.call(lambda engine: engine.sessions.list())


def test_an_empty_corpus_leads_to_the_documents(serve: Serve, open_tab: OpenTab) -> None:
    with serve():
        tab = open_tab()
    assert not tab.exception
    assert "none yet" in html(tab)
    assert any(link.label == "Add documents" for link in tab.get("page_link"))


def test_first_questions_are_offered_and_can_be_asked(bridge: Bridge, open_tab: OpenTab) -> None:
    tab = open_tab()
    suggestion = next(button for button in tab.button if (button.key or "").startswith("suggestion"))
    suggestion.click().run()
    assert 'class="answer' in html(tab)
    assert "session" in tab.query_params


def test_a_session_begins_with_its_first_question(bridge: Bridge, open_tab: OpenTab) -> None:
    before = len(sessions(bridge))
    tab = open_tab()
    assert "session" not in tab.query_params
    ask(tab, "How much is refunded for meals abroad?")
    assert not tab.exception
    assert len(sessions(bridge)) == before + 1
    assert tab.query_params["session"] == str(sessions(bridge)[0].id)


def test_an_answer_shows_its_sources_and_the_cited_sentence(bridge: Bridge, open_tab: OpenTab) -> None:
    tab = ask(open_tab(), "How much is refunded for meals abroad?")
    assert "45 euros" in html(tab)
    choose_source(tab, 1)
    assert f"<mark>{MEALS}</mark>" in html(tab)
    assert "Travel policy" in html(tab)


def test_vietnamese_survives(bridge: Bridge, open_tab: OpenTab) -> None:
    tab = ask(open_tab(), "Mức bảo đảm dự thầu là bao nhiêu?")
    choose_source(tab, 1)
    assert "<mark>Mức bảo đảm dự thầu là 2% giá gói thầu.</mark>" in html(tab)


def test_what_is_not_in_the_documents_is_said(bridge: Bridge, open_tab: OpenTab) -> None:
    tab = ask(open_tab(), "What is the boiling point of tungsten?")
    assert "do not seem to hold the answer" in html(tab)
    choose_source(tab, 2)  # the nearest passages can be opened all the same
    assert not tab.exception


def test_a_session_is_found_again_by_its_address(bridge: Bridge, open_tab: OpenTab) -> None:
    first = ask(open_tab(), "How are trains booked?")
    again = open_tab(session=first.query_params["session"])
    assert "second class" in html(again)
    assert "How are trains booked?" in html(again)


@pytest.mark.parametrize("session", ["not-an-id", "bfca33e0-4825-4791-868b-b43e560c5731", "<script>"])
def test_an_unknown_address_is_told_and_leaves_a_new_chat(
    bridge: Bridge, open_tab: OpenTab, session: str
) -> None:
    tab = open_tab(session=session)
    assert not tab.exception
    assert len(tab.error) == 1
    ask(tab, "How are trains booked?")
    assert not tab.error
    assert "second class" in html(tab)


def test_a_question_that_cannot_be_asked_is_told_without_a_traceback(
    bridge: Bridge, open_tab: OpenTab
) -> None:
    tab = ask(open_tab(), "x" * 5000)
    assert not tab.exception
    assert "at most 4,000" in tab.error[0].value


def test_text_of_documents_is_never_markup(bridge: Bridge, open_tab: OpenTab) -> None:
    tab = ask(open_tab(), "What does the kraken protocol say?")
    choose_source(tab, 1)
    shown = html(tab)
    assert "kraken protocol" in shown
    for live in ("<script", "<img", '<a href="javascript', '<a href="http'):
        assert live not in shown
    # Markdown elements would load images and read directives: document text may only stand there escaped.
    labels = [element.value for element in (*tab.markdown, *tab.caption)]
    labels += [element.label for element in (*tab.button, *tab.button_group)]
    for label in labels:
        assert "![x](" not in label and ":material/home:" not in label and "<b>" not in label


def test_a_scope_is_shown_holds_and_is_cleared_by_one_click(bridge: Bridge, open_tab: OpenTab) -> None:
    tab = open_tab()
    tab.session_state["scope"] = True  # the popover, open
    tab.run()
    next(field for field in tab.multiselect if field.key == "scope-languages").set_value(["vi"]).run()
    assert "Vietnamese" in [caption.value for caption in tab.caption]
    ask(tab, "How are trains booked?")
    assert "second class" not in html(tab)
    press(tab, "Ask all documents")
    ask(tab, "How are trains booked?")
    assert "second class" in html(tab)


def test_chats_are_found_deleted_and_brought_back(bridge: Bridge, open_tab: OpenTab) -> None:
    def listed(tab: AppTest) -> list[str]:
        return [link.label for link in tab.get("page_link") if "receipts" in link.label]

    tab = ask(open_tab(), "How soon are receipts handed in?")
    tab.session_state["session-menu"] = True
    tab.run()
    press(tab, "Delete chat")
    assert "session" not in tab.query_params
    assert not listed(tab)
    press(tab, "Undo")
    assert listed(tab)

    search = next(field for field in tab.text_input if field.key == "session-search")
    search.set_value("within ten days").run()  # words of the answer
    assert listed(tab)
    search.set_value("no such words").run()
    assert not listed(tab)


def test_a_question_can_be_asked_again_and_edited(bridge: Bridge, open_tab: OpenTab) -> None:
    tab = ask(open_tab(), "How are trains booked?")
    press(tab, "Regenerate")
    session_id = UUID(tab.query_params["session"])
    turns = bridge.call(lambda engine: engine.sessions.turns(session_id))
    assert [turn.answer.question for turn in turns] == ["How are trains booked?"]

    press(tab, "Edit")
    next(area for area in tab.text_area).set_value("How much is refunded for meals abroad?")
    press(tab, "Ask again")
    turns = bridge.call(lambda engine: engine.sessions.turns(session_id))
    assert [turn.answer.question for turn in turns] == ["How much is refunded for meals abroad?"]
    assert "45 euros" in html(tab)


def test_an_answer_can_be_judged(bridge: Bridge, open_tab: OpenTab) -> None:
    tab = ask(open_tab(), "How are trains booked?")
    thumbs = next(
        group for group in tab.get("feedback") or tab.button_group if (group.key or "").startswith("vote-")
    )
    thumbs.set_value(0).run()
    session_id = UUID(tab.query_params["session"])
    (turn,) = bridge.call(lambda engine: engine.sessions.turns(session_id))
    assert turn.vote == "down"
    next(field for field in tab.text_input if (field.key or "").startswith("why-")).set_value(
        "too short"
    ).run()
    (turn,) = bridge.call(lambda engine: engine.sessions.turns(session_id))
    assert (turn.vote, turn.reason) == ("down", "too short")


def test_what_was_written_before_a_stop_is_kept(serve: Serve, open_tab: OpenTab) -> None:
    with (
        OpenAIServer() as server,
        serve(openai_api_key="test", openai_base_url=server.url, openai_timeout_seconds=20) as bridge,
    ):
        stock(bridge)
        server.default = Reply(
            "Meals are refunded [1]. And more",
            pieces=["Meals are ", "refunded [1]. ", "And more"],
            hang_after=2,
        )
        session = bridge.call(lambda engine: engine.sessions.create("Meals"))
        events = bridge.follow(
            lambda engine: engine.stream("How much for meals abroad?", session_id=session.id)
        )
        with closing(events):
            for event in events:
                if isinstance(event, AnswerText):
                    break
        tab = open_tab(session=str(session.id))
        assert any(group.key == "mode" for group in tab.button_group)  # there is a model to spend more on
        assert "Meals are" in html(tab)
        assert "Stopped" in html(tab)

        server.default = Reply(
            "Up to 45 euros a day [1]. ![x](http://evil.example/i.png) <b>bold</b> [l](http://evil.example)"
        )
        press(tab, "Regenerate")
        assert "Up to 45 euros" in html(tab)
        assert "Stopped" not in html(tab)
        assert "<img" not in html(tab) and "<b>" not in html(tab) and 'href="http' not in html(tab)


def test_an_answer_whose_source_has_changed_says_so_and_is_asked_anew(
    serve: Serve, open_tab: OpenTab
) -> None:
    with serve() as bridge:
        stock(bridge)
        tab = ask(open_tab(), "How much is refunded for meals abroad?")
        assert "has changed since" not in html(tab.run())

        put(bridge, "travel.md", FILES["travel.md"].replace("45 euros", "60 euros"))
        assert "A source of this answer has changed since: Travel policy" in html(tab.run())
        assert "What differs" not in html(tab)

        press(tab, "Ask again")
        assert not tab.exception
        session_id = UUID(tab.query_params["session"])
        old, new = bridge.call(lambda engine: engine.sessions.turns(session_id))
        assert (old.answer.asks_again, new.answer.asks_again) == (None, old.id)
        assert new.answer.question == old.answer.question
        for shown in (html(tab), html(open_tab(session=str(session_id)))):  # now, and whenever it is opened
            assert "What differs" in shown
            assert f"<li><del>{MEALS}</del></li>" in shown
            assert f"<li><ins>{MEALS.replace('45', '60')}</ins></li>" in shown
            assert "Travel policy, Meals <em>says something else</em>" in shown
        assert "has changed since" in html(tab.run())  # the old answer stays what it is
        assert not any("Ask again" in button.label for button in tab.button)  # and is asked anew already

        bridge.call(lambda engine: engine.documents.delete([new.answer.citations[0].passage.document_id]))
        assert html(tab.run()).count("A source of this answer is gone: Travel policy") == 2
        press(tab, "Ask again")
        assert "do not seem to hold the answer" in html(tab)


def test_a_difference_is_text_never_markup(serve: Serve, open_tab: OpenTab) -> None:
    hostile = "hostile <b>.txt"
    with serve() as bridge:
        stock(bridge)
        tab = ask(open_tab(), "What does the kraken protocol say?")
        put(bridge, hostile, FILES[hostile].replace("alert(1)", "alert(9)"))
        shown = html(press(tab.run(), "Ask again"))
        assert "<del>" in shown and "&lt;script&gt;alert(9)&lt;/script&gt;" in shown
        for live in ("<script", "<img", '<a href="javascript', '<a href="http', "<b>"):
            assert live not in shown


def test_an_answer_that_is_asked_anew_and_is_the_same_shows_no_sentences(
    serve: Serve, open_tab: OpenTab
) -> None:
    with serve() as bridge:
        stock(bridge)
        tab = ask(open_tab(), "How are trains booked?")
        put(bridge, "travel.md", FILES["travel.md"] + "\nDogs stay at home.\n")
        press(tab.run(), "Ask again")
        shown = html(tab)
        assert "What differs" in shown and "says something else" in shown
        assert "<del>" not in shown and "<ins>" not in shown
