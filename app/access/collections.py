"""Collections: a table, making one, saying who reads it, and taking it away again."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.bridge import Bridge
from app.messages import shown_errors
from app.text import counted, plain
from engine.access.collections import DEFAULT, Collection

_EVERYONE = "Everyone reads it"


def draw_collections(bridge: Bridge) -> None:
    """Which collections there are, and who reads them."""
    with shown_errors():
        accounts = [account.name for account in bridge.call(lambda engine: engine.entrance.accounts.list())]
        place = st.container()
        with st.container(horizontal=True):
            with st.popover("Create a collection", icon=":material/create_new_folder:", key="col-create"):
                _draw_create(bridge, accounts)
            changing = st.popover("Change a collection", icon=":material/folder_shared:", key="col-change")
        known = bridge.call(lambda engine: engine.entrance.collections.list())
        with changing:
            _draw_change(bridge, known, accounts)
        with place:
            _draw_table(bridge.call(lambda engine: engine.entrance.collections.list()))
        st.caption(
            "Editors put documents in on the Documents page: where they upload them, or with Move, between "
            "collections that they read. Administrators too read only those of which they are members."
        )


def _draw_table(known: Sequence[Collection]) -> None:
    st.dataframe(
        {
            "Number": [collection.id for collection in known],
            "Name": [collection.name for collection in known],
            "Read by": [_readers(collection) for collection in known],
            "Documents": [collection.documents for collection in known],
        },
        key="collections",
        hide_index=True,
        column_config={
            "Read by": st.column_config.TextColumn(width="large"),
            "Documents": st.column_config.NumberColumn(format="localized"),
        },
    )


def _readers(collection: Collection) -> str:
    return "Everyone" if collection.everyone else ", ".join(collection.members) or "Nobody yet"


def _draw_create(bridge: Bridge, accounts: Sequence[str]) -> None:
    with st.form("col-create-form", border=False, clear_on_submit=True):
        name = st.text_input("Name", key="col-create-name", max_chars=100)
        members = st.multiselect("Members", accounts, key="col-create-members", placeholder="Nobody yet")
        everyone = st.toggle(_EVERYONE, key="col-create-everyone")
        sent = st.form_submit_button("Create", type="primary", key="col-create-send")
    if sent:
        with shown_errors():
            bridge.call(
                lambda engine: engine.entrance.collections.create(name, everyone=everyone, members=members)
            )
            st.success(plain(f"{name} is there."))


def _draw_change(bridge: Bridge, known: Sequence[Collection], accounts: Sequence[str]) -> None:
    by_id = {collection.id: collection for collection in known}
    chosen = st.selectbox(
        "Collection",
        list(by_id),
        index=None,
        format_func=lambda number: by_id[number].name,
        key="col-chosen",
        placeholder="Name",
    )
    if chosen is None:
        return
    collection = by_id[chosen]
    with st.form(f"col-form-{chosen}", border=False):
        name = st.text_input("Name", collection.name, key=f"col-name-{chosen}", max_chars=100)
        members = st.multiselect(
            "Members",
            list(dict.fromkeys([*accounts, *collection.members])),
            list(collection.members),
            key=f"col-members-{chosen}",
            placeholder="Nobody yet",
            help="Who is taken out reads it no more, old answers made of it included.",
        )
        everyone = st.toggle(_EVERYONE, collection.everyone, key=f"col-everyone-{chosen}")
        sent = st.form_submit_button("Save", type="primary", key="col-save")
    if sent:
        with shown_errors():
            before, after = set(collection.members), set(members)
            bridge.call(  # only what differs: somebody else may have changed the rest meanwhile
                lambda engine: engine.entrance.collections.change(
                    collection.id,
                    name=None if name == collection.name else name,
                    everyone=None if everyone == collection.everyone else everyone,
                    join=sorted(after - before),
                    leave=sorted(before - after),
                )
            )
            st.success(plain(f"{name} is saved."))
    if chosen != DEFAULT:
        with st.expander("Delete it", icon=":material/delete:"):
            _draw_delete(bridge, collection, [other for other in known if other.id != chosen])


def _draw_delete(bridge: Bridge, collection: Collection, others: Sequence[Collection]) -> None:
    """Says what becomes of the documents: they are moved, never deleted with their collection."""
    names = {other.id: f"{other.name} (read by: {_readers(other)})" for other in others}
    held = [counted(collection.documents, "document")] if collection.documents else []
    held += (
        [f"{counted(collection.deleted, 'deleted document')} not yet purged"] if collection.deleted else []
    )
    into: int | None = None
    if held:
        st.markdown(
            f"**{plain(collection.name)}** holds {' and '.join(held)}. They are not deleted with it: they "
            "move into another collection, and whoever reads that one may read them."
        )
        into = st.selectbox(
            "Move them into",
            list(names),
            index=None,
            format_func=names.__getitem__,
            key="col-delete-into",
            placeholder="Collection",
        )
    else:
        st.markdown(f"**{plain(collection.name)}** holds no documents.")
    st.caption("This cannot be undone; it is recorded in the audit.")
    if st.button("Delete the collection", key="col-delete-send", disabled=bool(held) and into is None):
        with shown_errors():
            bridge.call(lambda engine: engine.entrance.collections.delete(collection.id, into=into))
            st.success(plain(f"{collection.name} is gone."))
