"""Taking back what was deleted on this page."""

from __future__ import annotations

from functools import partial

import streamlit as st

from app.bridge import Bridge
from app.messages import shown_errors
from app.rerankers.state import ComparisonState, Kind, Removed
from engine import Engine

_TOLD: dict[Kind, str] = {
    "set": "Set deleted. Documents that it brought along stay.",
    "question": "Question taken out.",
    "run": "Run deleted.",
}


def draw_undo(bridge: Bridge, state: ComparisonState, *kinds: Kind) -> None:
    """What was deleted last, if it is of these kinds, and the way back."""
    removed = state.removed
    if removed is None or removed.kind not in kinds:
        return
    with st.container(key=f"undo-{removed.kind}", horizontal=True, vertical_alignment="center", border=True):
        st.markdown(_TOLD[removed.kind], width="content")
        if st.button("Undo", key=f"restore-{removed.kind}", type="primary"):
            with shown_errors():
                bridge.call(partial(_restore, removed=removed))
                state.removed = None
                if removed.kind == "set":
                    state.set_id = removed.id
                elif removed.kind == "run":
                    state.run_ids = (removed.id,)
                state.uploads += 1
                st.rerun()
        if st.button("Dismiss", key=f"dismiss-{removed.kind}", type="tertiary"):
            state.removed = None
            st.rerun()


async def _restore(engine: Engine, removed: Removed) -> None:
    sets, runs = engine.comparison.sets, engine.comparison.runs
    restoring = {"set": sets.restore, "question": sets.restore_question, "run": runs.restore}
    await restoring[removed.kind](removed.id)
