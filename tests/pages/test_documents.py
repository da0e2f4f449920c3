"""The documents page: taking files in, finding, describing and deleting them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app.bridge import Bridge
from engine.documents.jobs import Upload
from engine.documents.model import Document
from engine.documents.queries import DocumentQuery

from .conftest import OpenTab, Serve

FILES = {
    "mua sắm.md": "# Quy chế mua sắm\n\n## Điều 5. Bảo đảm dự thầu\n\nMức bảo đảm là 2% giá gói thầu.\n",
    "travel.md": "# Travel policy\n\n## Meals\n\nMeals are refunded.\n\n## Trains\n\nSecond class.\n",
    "hostile.txt": "Kraken <script>alert(1)</script> ![x](http://evil.example/x.png) :red[blood] ends.\n",
}


@pytest.fixture(scope="module")
def served(serve: Serve) -> Iterator[Bridge]:
    with serve(delete_grace_seconds=0) as bridge:
        yield bridge


@pytest.fixture
def bridge(served: Bridge) -> Bridge:
    """An engine without documents."""
    ids = [document.id for document in documents(served)]
    served.call(lambda engine: engine.documents.delete(ids))
    served.call(lambda engine: engine.purge())
    return served


@pytest.fixture
def stocked(bridge: Bridge) -> Bridge:
    job = bridge.call(
        lambda engine: engine.ingestion.submit([Upload(name, text.encode()) for name, text in FILES.items()])
    )
    bridge.call(lambda engine: engine.ingestion.wait(job.id))
    return bridge


def documents(bridge: Bridge) -> list[Document]:
    return [*bridge.call(lambda engine: engine.documents.list(DocumentQuery())).rows]


def named(bridge: Bridge, file_name: str) -> Document:
    return next(document for document in documents(bridge) if document.file_name == file_name)


def html(tab: AppTest) -> str:
    return "\n".join(
        element.value for element in tab.html if not element.value.startswith(("<style", "<script "))
    )


def keyed(widgets: Any, key: str) -> Any:
    return next(widget for widget in widgets if (widget.key or "").startswith(key))


def open_documents(open_tab: OpenTab, **parameters: str) -> AppTest:
    tab = open_tab()
    tab.switch_page("../pages/documents.py")
    for name, value in parameters.items():
        tab.query_params[name] = value
    tab.run()
    assert not tab.exception
    return tab


def titles(tab: AppTest) -> list[str]:
    return [*tab.dataframe[0].value["Title"]]


def choose(tab: AppTest, *rows: int) -> AppTest:
    """Select rows of the list; AppTest has no mouse for that."""
    tab.session_state[f"documents-{tab.session_state['dossier'].selections}-1"] = {
        "selection": {"rows": [*rows], "columns": [], "cells": []}
    }
    return tab.run()


def test_an_empty_corpus_offers_a_sample(bridge: Bridge, open_tab: OpenTab) -> None:
    tab = open_documents(open_tab)
    assert "no documents yet" in html(tab)
    keyed(tab.button, "sample").click().run()
    job = bridge.call(lambda engine: engine.ingestion.jobs())[0]
    finished = bridge.call(lambda engine: engine.ingestion.wait(job.id))
    assert {file.stage for file in finished.files} == {"done"}
    assert {document.metadata.language for document in documents(bridge)} == {"en", "vi"}
    tab.run()
    assert "6 files added" in html(tab)


def test_dropped_files_are_taken_in_and_failures_are_told(bridge: Bridge, open_tab: OpenTab) -> None:
    tab = open_documents(open_tab)
    keyed(tab.file_uploader, "upload-").set_value(
        [
            ("mua sắm.md", FILES["mua sắm.md"].encode(), "text/markdown"),
            ("broken <b>.pdf", b"%PDF-1.4 nothing", "application/pdf"),
        ]
    ).run()
    job = bridge.call(lambda engine: engine.ingestion.jobs())[0]
    bridge.call(lambda engine: engine.ingestion.wait(job.id))
    tab.run()
    shown = html(tab)
    assert "1 file added, 1 failed." in shown
    assert "broken &lt;b&gt;.pdf" in shown
    assert titles(tab) == ["Quy chế mua sắm"]
    keyed(tab.button, "put-away").click().run()
    assert "failed" not in html(tab)


def test_documents_are_found_filtered_and_sorted_by_the_database(stocked: Bridge, open_tab: OpenTab) -> None:
    tab = open_documents(open_tab)
    assert len(titles(tab)) == 3
    keyed(tab.text_input, "list-search").set_value("quy che").run()
    assert titles(tab) == ["Quy chế mua sắm"]
    keyed(tab.text_input, "list-search").set_value("").run()
    keyed(tab.selectbox, "list-sort").set_value("Title").run()
    assert titles(tab) == sorted(titles(tab), key=str.casefold)
    keyed(tab.text_input, "list-search").set_value("nowhere").run()
    assert not tab.dataframe
    assert any("No document matches" in caption.value for caption in tab.caption)


def test_rows_are_deleted_and_brought_back(stocked: Bridge, open_tab: OpenTab) -> None:
    tab = choose(open_documents(open_tab), 0, 1)
    keyed(tab.button, "bulk-delete").click().run()
    assert len(documents(stocked)) == 1
    assert any("2 documents deleted." in text.value for text in tab.markdown)
    keyed(tab.button, "undo").click().run()
    assert len(documents(stocked)) == 3
    assert len(titles(tab)) == 3


def test_rows_are_tagged_and_change_status(stocked: Bridge, open_tab: OpenTab) -> None:
    tab = choose(open_documents(open_tab), 0, 1, 2)
    keyed(tab.multiselect, "bulk-add").set_value(["nội bộ"])
    keyed(tab.selectbox, "bulk-status").set_value("expired")
    next(button for button in tab.button if button.label == "Save").click().run()
    assert all("nội bộ" in document.metadata.tags for document in documents(stocked))
    assert {document.metadata.status for document in documents(stocked)} == {"expired"}
    assert {*tab.dataframe[0].value["Status"]} == {"Expired"}


def test_a_document_shows_its_text_and_is_edited_in_place(stocked: Bridge, open_tab: OpenTab) -> None:
    older, newer = named(stocked, "mua sắm.md"), named(stocked, "travel.md")
    tab = open_documents(open_tab, doc=str(older.id))
    assert "Mức bảo đảm là 2% giá gói thầu." in html(tab)
    assert "Điều 5. Bảo đảm dự thầu" in str(keyed(tab.selectbox, "outline-").options)
    keyed(tab.text_input, "title-").set_value("Quy chế mua sắm (cũ)")
    keyed(tab.selectbox, "status-").set_value("superseded")
    keyed(tab.selectbox, "superseded-").set_value(newer.id)
    next(button for button in tab.button if button.label == "Save").click().run()
    metadata = named(stocked, "mua sắm.md").metadata
    assert (metadata.title, metadata.status, metadata.superseded_by) == (
        "Quy chế mua sắm (cũ)",
        "superseded",
        newer.id,
    )
    assert "Superseded" in html(tab)


def test_a_wrong_value_is_told_beside_the_form(stocked: Bridge, open_tab: OpenTab) -> None:
    tab = open_documents(open_tab, doc=str(named(stocked, "travel.md").id))
    keyed(tab.text_input, "title-").set_value("   ")
    next(button for button in tab.button if button.label == "Save").click().run()
    assert "needs a title" in tab.error[0].value
    assert not tab.exception


def test_text_of_documents_is_never_markup(stocked: Bridge, open_tab: OpenTab) -> None:
    tab = open_documents(open_tab, doc=str(named(stocked, "hostile.txt").id))
    assert "&lt;script&gt;" in html(tab)
    assert "<script" not in html(tab)
    assert not any("blood" in text.value for text in tab.markdown)


@pytest.mark.parametrize("address", ["999", "x", "-1", "1; drop table documents", "99999999999999"])
def test_an_unknown_document_is_told_and_leads_to_the_list(
    stocked: Bridge, open_tab: OpenTab, address: str
) -> None:
    tab = open_documents(open_tab, doc=address)
    assert len(tab.error) == 1
    assert len(titles(tab)) == 3


def test_a_document_can_be_asked_about(stocked: Bridge, open_tab: OpenTab) -> None:
    tab = open_documents(open_tab, doc=str(named(stocked, "travel.md").id))
    keyed(tab.button, "ask-about").click().run()
    assert not tab.exception
    assert tab.session_state["dossier"].scope.document_ids == (named(stocked, "travel.md").id,)
    assert tab.chat_input
