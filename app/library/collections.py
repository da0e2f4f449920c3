"""In which collection documents are, and putting them into another one; only with access control."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.bridge import Bridge
from app.messages import shown_errors
from app.state import TabState
from app.text import counted, plain
from engine.documents.model import Document


def draw_move(bridge: Bridge, state: TabState, rows: Sequence[Document]) -> None:
    """Put documents into another collection, where there are some to choose from."""
    names = collection_names(bridge)
    if len(names) < 2:
        return
    popover = st.popover("Move", icon=":material/drive_file_move:", key="move", on_change="rerun")
    with popover:
        if not popover.open:
            return
        here = {row.collection_id for row in rows}
        with st.form("move-form", border=False):
            into = st.selectbox(
                "Into the collection",
                [number for number in names if here != {number}],
                index=None,
                format_func=names.__getitem__,
                key="move-into",
                placeholder="Collection",
                help="From the next question on they are read by those who read that collection.",
            )
            sent = st.form_submit_button("Move", type="primary", key="move-send")
        if sent and into is not None:
            with shown_errors():
                ids = [row.id for row in rows]
                moved = bridge.call(lambda engine: engine.documents.move(ids, into))
                state.selections += 1
                st.toast(plain(f"{counted(moved, 'document')} moved into {names[into]}."))
                st.rerun()


def collection_names(bridge: Bridge) -> dict[int, str]:
    """By number, the collections that the page's visitor reads; none without access control."""
    if not bridge.guarded:
        return {}
    mine = bridge.call(lambda engine: engine.entrance.collections.mine())
    return {collection.id: collection.name for collection in mine}
