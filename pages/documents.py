"""Documents: add, find, describe and delete them; with `?doc=`, one of them."""

from __future__ import annotations

import streamlit as st

from app.bridge import get_bridge
from app.library.bulk import draw_undo
from app.library.document import draw_document
from app.library.listing import draw_listing
from app.library.sample import offer_sample
from app.library.statistics import statistics_html
from app.library.upload import draw_progress, draw_upload
from app.messages import show_error
from app.state import tab_state
from engine.errors import NotFound


def number(name: str) -> int | None:
    """A parameter of the address, where it is a number that an id could be."""
    given = st.query_params.get(name, "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else None


bridge, state = get_bridge(), tab_state()
if "doc" in st.query_params:
    draw_progress(bridge, state)
    try:
        draw_document(bridge, state, number("doc") or 0, number("at"))
        st.stop()
    except NotFound as error:
        show_error(error)

counts = bridge.call(lambda engine: engine.documents.statistics())
st.html(f"<h1>Documents</h1>{statistics_html(counts)}")
draw_undo(bridge, state)
draw_upload(bridge, state)
draw_progress(bridge, state)
if counts.documents:
    draw_listing(bridge, state)
else:
    with st.container(key="empty", gap="small"):
        to_do = " Drop some above, or try a small sample in two languages." if bridge.may("edit") else ""
        st.html(f"<p>There are no documents yet.{to_do}</p>")
        offer_sample(bridge, state)
