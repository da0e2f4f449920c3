"""The cache layers: what they save, what they hold, and emptying them."""

from __future__ import annotations

import streamlit as st

from app.bridge import Bridge
from app.messages import shown_errors
from app.operations.actions import tell
from app.text import size
from engine.caching.caches import LayerReport

_WHERE = {
    "L1": "the memory of this process",
    "L2": "Redis, for all processes",
    "L3": "PostgreSQL, for all processes",
}


def draw_caches(bridge: Bridge) -> None:
    """The layers in use, and a button for each."""
    _draw_layers(bridge)
    with shown_errors():
        layers = bridge.call(lambda engine: engine.cache_report())
        with st.container(horizontal=True, key="clear-layers"):
            for layer in layers:
                if st.button(f"Clear {layer.name}…", key=f"clear-{layer.name}", icon=":material/mop:"):
                    _confirm(bridge, layer)


@st.fragment(run_every=5)
def _draw_layers(bridge: Bridge) -> None:
    with shown_errors():
        layers = bridge.call(lambda engine: engine.cache_report())
        used = [layer.usage for layer in layers]
        st.dataframe(
            {
                "Layer": [layer.name for layer in layers],
                "Kept in": [_WHERE[layer.name] for layer in layers],
                "Hit rate": [
                    layer.counts.hit_rate if layer.counts.hits + layer.counts.misses else None
                    for layer in layers
                ],
                "Hits": [layer.counts.hits for layer in layers],
                "Misses": [layer.counts.misses for layer in layers],
                "Errors": [layer.counts.errors for layer in layers],
                "Evictions": [layer.counts.evictions for layer in layers],
                "Mean look-up (ms)": [_mean(layer) for layer in layers],
                "Entries": [usage.entries if usage else None for usage in used],
                "Holds": [_room(layer) for layer in layers],
            },
            key="cache-layers",
            hide_index=True,
            column_config={
                "Hit rate": st.column_config.ProgressColumn(format="percent", min_value=0.0, max_value=1.0),
                "Hits": st.column_config.NumberColumn(format="localized"),
                "Misses": st.column_config.NumberColumn(format="localized"),
                "Mean look-up (ms)": st.column_config.NumberColumn(format="%.2f"),
                "Entries": st.column_config.NumberColumn(format="localized"),
            },
        )


def _mean(layer: LayerReport) -> float | None:
    looks = layer.counts.hits + layer.counts.misses
    return layer.counts.milliseconds / looks if looks else None


def _room(layer: LayerReport) -> str:
    if layer.usage is None:
        return "cannot be asked"
    of = f" of {size(layer.usage.limit)}" if layer.usage.limit else ""
    return size(layer.usage.bytes) + of


@st.dialog("Clear a cache layer")
def _confirm(bridge: Bridge, layer: LayerReport) -> None:
    st.markdown(
        f"**{layer.name}** is kept in {_WHERE[layer.name]} and holds {_room(layer)}. "
        "Questions that it would have answered at once are worked out anew until it has filled again. "
        "No document, chat or setting is lost. That it was cleared is recorded."
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel", key="keep-layer"):
            st.rerun()
        if st.button(
            f"Clear {layer.name}",
            key="clear-layer",
            type="primary",
            on_click=_clear,
            args=(bridge, layer.name),
        ):
            st.rerun()  # closes the dialog


def _clear(bridge: Bridge, layer: str) -> None:
    with shown_errors():
        tell(bridge.call(lambda engine: engine.operations.clear_cache([layer], "operations page")))
