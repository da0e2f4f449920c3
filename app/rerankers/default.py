"""Which reranker serves, and making another one the default."""

from __future__ import annotations

import streamlit as st

from app.bridge import Bridge
from app.messages import shown_errors
from app.operations.actions import tell
from app.text import plain
from engine import Engine
from engine.features import Feature
from engine.operations.choices import RERANKER, THRESHOLD, ChoiceName

_MARKS = {"ready": "✓ ready", "idle": "◦ loads when first used", "loading": "… loading", "failed": "✗ cannot"}


def draw_default(bridge: Bridge) -> None:
    """What serves now, why, and the way back to the settings."""
    features = bridge.call(_chosen)
    with st.container(horizontal=True, vertical_alignment="center", key="default-reranker"):
        for feature, name in zip(features, (RERANKER, THRESHOLD), strict=True):
            st.markdown(
                f"{feature.name.capitalize()}: **{plain(feature.effective)}**",
                width="content",
                help=plain(feature.why) or "As the setting says.",
            )
            if feature.why and "chosen" in feature.why:
                back = f"Back to {feature.asked}"
                if st.button(back, key=f"revert-{name}", type="tertiary", icon=":material/undo:"):
                    choose(bridge, name, None)
                    st.rerun()
        with st.popover("All rerankers", type="tertiary", icon=":material/format_list_bulleted:"):
            _draw_contenders(bridge)


async def _chosen(engine: Engine) -> list[Feature]:
    features = {feature.name: feature for feature in await engine.features()}
    return [features["reranker"], features["answer threshold"]]


def _draw_contenders(bridge: Bridge) -> None:
    async def ask(engine: Engine) -> list[tuple[str, str, str]]:
        return [(c.name, _MARKS[c.status], c.why) for c in engine.comparison.contenders()]

    rows = bridge.call(ask)
    st.dataframe(
        {"Reranker": [r[0] for r in rows], "State": [r[1] for r in rows], "Why": [r[2] for r in rows]},
        hide_index=True,
        key="contenders",
        column_config={"Why": st.column_config.TextColumn(width="large")},
    )


@st.dialog("Make this the default")
def confirm_default(bridge: Bridge, reranker: str, serving: str) -> None:
    """Ask, then do it."""
    st.markdown(
        f"From now on questions are reranked by **{plain(reranker)}** instead of {plain(serving)}: for all "
        "users, in every process, at once. Earlier answers stay as they are. It is recorded, and can be "
        "taken back on this page."
    )
    _buttons(bridge, RERANKER, reranker, f"Make {reranker} the default")


@st.dialog("Use this threshold")
def confirm_threshold(bridge: Bridge, threshold: float, told: str) -> None:
    """Ask, then do it."""
    st.markdown(
        f"From now on no answer is given where Dossier is less than **{threshold:.3f}** sure. {plain(told)} "
        "It holds for all users, in every process, at once, for answers made of quotes. It is recorded, "
        "and can be taken back on this page."
    )
    _buttons(bridge, THRESHOLD, f"{threshold:.4f}", "Use this threshold")


def _buttons(bridge: Bridge, name: ChoiceName, value: str, label: str) -> None:
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel", key="keep-default"):
            st.rerun()
        if st.button(label, key="choose", type="primary", on_click=choose, args=(bridge, name, value)):
            st.rerun()  # closes the dialog


def choose(bridge: Bridge, name: ChoiceName, value: str | None) -> None:
    """Do it, and have the next run of the page say so."""
    with shown_errors():
        tell([bridge.call(lambda engine: engine.operations.choose(name, value, "rerankers page"))])
