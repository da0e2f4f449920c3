"""Loading a model anew, while questions go on."""

from __future__ import annotations

import streamlit as st

from app.bridge import Bridge
from app.messages import shown_errors
from app.operations.actions import tell
from app.text import plain
from engine import Engine


def draw_models(bridge: Bridge) -> None:
    """A button for each model that this process holds."""
    for model in bridge.call(_models):
        if st.button(f"Reload {model}…", key=f"reload-{model}", icon=":material/refresh:"):
            _confirm(bridge, model)


async def _models(engine: Engine) -> list[str]:
    return engine.operations.models


@st.dialog("Reload a model")
def _confirm(bridge: Bridge, model: str) -> None:
    st.markdown(
        f"**{plain(model)}** is loaded anew from its files. Questions go on meanwhile: the one in use serves "
        "until the new one is ready, or another stands in, and the answer says so. It is recorded."
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel", key="keep-model"):
            st.rerun()
        if st.button("Reload", key="reload-now", type="primary", on_click=_reload, args=(bridge, model)):
            st.rerun()  # closes the dialog


def _reload(bridge: Bridge, model: str) -> None:
    with shown_errors(), st.spinner("Loading…"):
        tell([bridge.call(lambda engine: engine.operations.reload_model(model, "operations page"))])
