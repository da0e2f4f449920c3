"""Taking this process out of service, and back; every page says so meanwhile."""

from __future__ import annotations

import streamlit as st

from app.bridge import Bridge, get_bridge
from app.messages import shown_errors
from app.operations.actions import tell
from app.text import counted
from engine import Engine
from engine.documents.jobs import FINISHED


def tell_draining() -> None:
    """On every page, as long as it lasts."""
    if get_bridge().draining:
        st.warning(
            "This server is about to stop: it takes no new questions or files. What is under way is "
            "finished, and nothing is lost.",
            icon=":material/hourglass_bottom:",
        )


def draw_drain(bridge: Bridge) -> None:
    """Whether this process serves, and the button that changes it."""
    if not bridge.draining:
        if st.button("Drain this process…", key="drain", icon=":material/hourglass_bottom:"):
            _confirm(bridge)
        return
    _draw_left(bridge)
    if st.button("Serve again", key="serve-again", icon=":material/play_arrow:"):
        with shown_errors():
            tell([bridge.call(lambda engine: engine.operations.serve("operations page"))])
        st.rerun()


@st.fragment(run_every=2)
def _draw_left(bridge: Bridge) -> None:
    questions, files = bridge.call(_under_way)
    if questions or files:
        st.markdown(
            f"Draining: {counted(questions, 'question')} and {counted(files, 'file')} are still under way."
        )
    else:
        st.markdown("**Drained: nothing is under way. This process can be stopped.**")


async def _under_way(engine: Engine) -> tuple[int, int]:
    jobs = [job for job in engine.ingestion.snapshots() if not job.finished]
    files = sum(file.stage not in FINISHED for job in jobs for file in job.files)
    return engine.metrics.under_way, files


@st.dialog("Drain this process")
def _confirm(bridge: Bridge) -> None:
    st.markdown(
        "This process will take no new questions or files, and finish what it has. `/ready` answers 503, so "
        "that a proxy that asks sends people elsewhere; with a single process, people wait until it serves "
        "again. That it was drained is recorded."
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel", key="keep-serving"):
            st.rerun()
        if st.button("Drain", key="drain-now", type="primary", on_click=_drain, args=(bridge,)):
            st.rerun()  # closes the dialog


def _drain(bridge: Bridge) -> None:
    with shown_errors():
        tell([bridge.call(lambda engine: engine.operations.drain("operations page"))])
