"""Collections and shared chats on the pages: who is offered what, and what each reader sees."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from streamlit.testing.v1 import AppTest

from app.bridge import Bridge
from engine.access.collections import Collection
from engine.documents.jobs import Upload
from engine.documents.model import DocumentFilter

from .conftest import OpenTab, SignIn

SECRET = "# Dự án Zephyr\n\n## Takeover of Nimbus\n\nNimbus is to be bought for 90 million euros in May.\n"
MEALS = "# Travel policy\n\n## Meals\n\nMeals abroad are refunded up to 45 euros a day.\n"


def page(tab: AppTest, name: str) -> AppTest:
    tab.switch_page(f"../pages/{name}.py").run()
    assert not tab.exception
    return tab


def html(tab: AppTest) -> str:
    return "\n".join(e.value for e in tab.html if not e.value.startswith(("<style", "<script ")))


def keys(tab: AppTest) -> set[str]:
    return {widget.key for kind in ("button", "selectbox", "multiselect") for widget in tab.get(kind)}


def put(bridge: Bridge, name: str, text: str, collection_id: int) -> int:
    """Take a file in, as whoever has come."""
    job = bridge.call(
        lambda engine: engine.ingestion.submit([Upload(name, text.encode())], collection_id=collection_id)
    )
    (file,) = bridge.call(lambda engine: engine.ingestion.wait(job.id)).files
    assert file.document_id is not None, file
    return file.document_id


@pytest.fixture
def collections(guarded: Bridge, come_as: SignIn):  # type: ignore[no-untyped-def]
    """All collections by name, as an administrator sees them."""

    def listed() -> dict[str, Collection]:
        come_as("root")
        return {c.name: c for c in guarded.call(lambda engine: engine.entrance.collections.list())}

    return listed


def test_a_collection_is_made_read_renamed_and_taken_away(
    guarded: Bridge,
    come_as: SignIn,
    open_tab: OpenTab,
    collections,  # type: ignore[no-untyped-def]
) -> None:
    come_as("root")
    tab = page(open_tab(), "access")
    tab.text_input(key="col-create-name").set_value("Hội đồng")
    tab.multiselect(key="col-create-members").set_value(["emma"])
    tab.button(key="col-create-send").click().run()
    made = collections()["Hội đồng"]
    assert (made.members, made.everyone) == (("emma",), False)

    # An editor who is a member puts documents in, and finds them by their collection.
    come_as("emma")
    zephyr, travel = (
        put(guarded, name, text, number)
        for name, text, number in (("zephyr.md", SECRET, made.id), ("travel.md", MEALS, 1))
    )
    tab = page(open_tab(), "documents")
    table = tab.dataframe[0].value.set_index("File")["Collection"]
    assert dict(table) == {"zephyr.md": "Hội đồng", "travel.md": "Everyone"}
    tab.session_state["list-filters"] = True
    tab.run()
    tab.multiselect(key="list-collections").set_value([made.id]).run()
    assert list(tab.dataframe[0].value["File"]) == ["zephyr.md"]
    assert any("Hội đồng" in caption.value for caption in tab.caption)
    tab = page(open_tab(doc=str(zephyr)), "documents")

    # A reader sees what is his, and is offered nothing that he may not do.
    come_as("rita")
    tab = page(open_tab(), "documents")
    assert list(tab.dataframe[0].value["File"]) == ["travel.md"]
    assert "Collection" not in tab.dataframe[0].value and not tab.get("file_uploader")
    tab = open_tab()
    tab.switch_page("../pages/documents.py")
    tab.query_params["doc"] = str(travel)
    tab.run()
    assert "in Everyone" in html(tab) and not {"delete", "reindex", "move-send"} & keys(tab)

    # Renamed, and with other members.
    come_as("root")
    tab = page(open_tab(), "access")
    tab.selectbox(key="col-chosen").select(made.id).run()
    tab.text_input(key=f"col-name-{made.id}").set_value("Board")
    tab.multiselect(key=f"col-members-{made.id}").set_value(["rita", "root"])
    tab.button(key="col-save").click().run()
    assert collections()["Board"].members == ("rita", "root")
    tab.text_input(key=f"col-name-{made.id}").set_value("Everyone")
    tab.button(key="col-save").click().run()
    assert "already" in tab.error[0].value

    # Deleted, after it was said what becomes of its document.
    tab = page(open_tab(), "access")
    tab.selectbox(key="col-chosen").select(made.id).run()
    assert any("1 document" in text.value and "not deleted with it" in text.value for text in tab.markdown)
    assert tab.button(key="col-delete-send").disabled
    tab.selectbox(key="col-delete-into").select(1).run()
    tab.button(key="col-delete-send").click().run()
    assert not tab.error and set(collections()) == {"Everyone"}
    come_as("emma")
    assert guarded.call(lambda engine: engine.documents.get(zephyr)).collection_id == 1
    guarded.call(lambda engine: engine.documents.delete([zephyr, travel]))


def test_documents_are_moved_from_the_list(guarded: Bridge, come_as: SignIn, open_tab: OpenTab) -> None:
    come_as("root")
    made = guarded.call(lambda engine: engine.entrance.collections.create("Legal"))
    guarded.call(lambda engine: engine.entrance.collections.change(made, join=["emma"]))
    come_as("emma")
    document = put(guarded, "meals.md", MEALS, 1)
    tab = open_tab()
    tab.switch_page("../pages/documents.py")
    tab.query_params["doc"] = str(document)
    tab.session_state["move"] = True
    tab.run()
    tab.selectbox(key="move-into").select(made)
    tab.button(key="move-send").click().run()
    assert not tab.exception and not tab.error
    assert guarded.call(lambda engine: engine.documents.get(document)).collection_id == made
    guarded.call(lambda engine: engine.documents.delete([document]))


def test_a_chat_is_read_by_its_link_until_it_ends(
    guarded: Bridge, come_as: SignIn, open_tab: OpenTab
) -> None:
    come_as("root")
    made = guarded.call(lambda engine: engine.entrance.collections.create("Deals"))
    guarded.call(lambda engine: engine.entrance.collections.change(made, join=["emma"]))
    come_as("emma")
    put(guarded, "deal.md", SECRET, made)
    food = DocumentFilter(document_ids=(put(guarded, "food.md", MEALS, 1),))
    tab = open_tab()
    tab.chat_input[0].set_value("For how much is Nimbus to be bought?").run()
    session = UUID(tab.query_params["session"])
    meals = "What is refunded for meals abroad?"
    guarded.call(lambda engine: engine.ask(meals, session_id=session, filter=food))
    tab.session_state["session-menu"] = True
    tab.run()
    tab.button(key="share").click().run()
    (link,) = [code.value for code in tab.code]
    token = re.fullmatch(r".*/\?shared=(\S+)", link)[1]  # type: ignore[index]

    come_as("rita")
    seen = open_tab(shared=token)
    shown = html(seen)
    assert not seen.exception and not seen.chat_input
    assert "45 euros" in shown and "<mark>" in shown  # with what it stands on
    assert "For how much is Nimbus to be bought?" in shown and "90 million" not in shown
    assert "1 answer is left empty" in shown
    offered = {key.split("-")[0] for key in keys(seen) if key}
    assert not offered & {"again", "edit", "anew", "vote", "share"}

    come_as("emma")
    tab.session_state["session-menu"] = True
    tab.run()
    tab.button(key="unshare").click().run()
    assert not tab.code
    come_as("rita")
    gone = open_tab(shared=token)
    assert "leads to no chat" in gone.error[0].value and "45 euros" not in html(gone)

    come_as("root")
    events = guarded.call(lambda engine: engine.entrance.audit.list())
    told = [(e.who, e.action) for e in reversed(events) if "share" in e.action]
    assert told == [("emma", "share"), ("rita", "open a share"), ("emma", "end a share")]
