"""Runs: begun, followed, stopped, gone on with, chosen to be looked at."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import streamlit as st

from app.bridge import Bridge
from app.messages import shown_errors
from app.rerankers.picking import pick_rerankers, unable
from app.rerankers.results import draw_results
from app.rerankers.state import ComparisonState, Removed
from app.rerankers.undo import draw_undo
from app.text import counted, plain
from engine import Engine
from engine.errors import NotFound
from engine.evaluation.model import RunSummary

_POLL_SECONDS = 1.0
_PACE_OF = 5  # questions, before it is told how long the others take
_STATUS = {
    "running": "Runs",
    "interrupted": "Interrupted: its process ended",
    "cancelled": "Cancelled",
    "failed": "Failed",
    "done": "Done",
}


def draw_runs(bridge: Bridge, state: ComparisonState) -> None:
    """The form, what is under way, and the results of the runs chosen."""
    draw_undo(bridge, state, "run")
    with shown_errors():
        _draw_form(bridge, state)
        runs = bridge.call(lambda engine: engine.comparison.runs.list())
        if not runs:
            st.caption(
                "Nothing was measured yet. Choose a set and rerankers, and run them; users come first."
            )
            return
        for run in runs:
            if run.status != "done":
                _draw_unfinished(bridge, state, run)
        _draw_choice(bridge, state, [run for run in runs if run.done])


def _draw_form(bridge: Bridge, state: ComparisonState) -> None:
    sets = {one.id: one for one in bridge.call(lambda engine: engine.comparison.sets.list())}
    if not sets:
        st.caption("There is no question set yet: import or make one under Question sets.")
        return
    with st.form("run-form", border=True):
        left, right = st.columns(2)
        with left:
            set_id = st.selectbox(
                "Question set",
                list(sets),
                list(sets).index(state.set_id) if state.set_id in sets else 0,
                format_func=lambda i: f"{sets[i].name} · {counted(sets[i].question_count, 'question')}",
                key=f"run-set-{state.switches}",
            )
        with right:
            name = st.text_input("Name of the run", key="run-name", placeholder="As the rerankers")
        chosen = pick_rerankers(
            bridge, state.rerankers or ("none", "built-in"), f"run-rerankers-{state.switches}"
        )
        begun = st.form_submit_button("Run", type="primary", icon=":material/play_arrow:")
    if begun:
        with shown_errors():
            run = bridge.call(lambda engine: engine.comparison.runs.start(set_id, chosen, name))
            state.set_id, state.run_ids = set_id, (run.id,)
            st.rerun()


def _draw_unfinished(bridge: Bridge, state: ComparisonState, run: RunSummary) -> None:
    if run.status == "running":
        st.fragment(_follow, run_every=_POLL_SECONDS)(bridge, state, run.id)
        return
    state.paces.pop(run.id, None)
    with st.container(border=True, key=f"unfinished-{run.id}", horizontal=True, vertical_alignment="center"):
        told = f"{run.name}, on {run.set_name}: {_STATUS[run.status].lower()}; {run.done:,} of {run.total:,}."
        st.markdown(plain(f"{told} {run.error}"), width="content")
        missing = unable(bridge, run.rerankers)
        for without in [[], missing] if missing and len(missing) < len(run.rerankers) else [[]]:
            label = f"Resume without {' and '.join(without)}" if without else "Resume"
            key = f"resume{'-without' * bool(without)}-{run.id}"
            if st.button(label, key=key, icon=":material/play_arrow:"):
                with shown_errors():
                    bridge.call(partial(_resume, run_id=run.id, without=without))
                    st.rerun()
        if st.button("Delete", key=f"delete-{run.id}", type="tertiary", icon=":material/delete:"):
            bridge.call(lambda engine: engine.comparison.runs.delete(run.id))
            state.removed = Removed("run", run.id)
            st.rerun()


async def _resume(engine: Engine, run_id: int, without: Sequence[str]) -> None:
    await engine.comparison.runs.resume(run_id, without=without)


def _follow(bridge: Bridge, state: ComparisonState, run_id: int) -> None:
    with shown_errors():
        try:
            run = bridge.call(lambda engine: engine.comparison.runs.get(run_id))
        except NotFound:  # deleted in another tab
            st.rerun()
        if run.status != "running":
            st.rerun()
        with st.container(border=True, key=f"running-{run_id}"):
            told = f"{run.name}, on {run.set_name}: {run.done:,} of {counted(run.total, 'question')}"
            said = run.note or time_left(state.paces, run, time.monotonic())
            st.progress(run.done / max(run.total, 1), plain(f"{told}. {said}".rstrip(". ")))
            if st.button("Cancel", key=f"cancel-{run_id}", type="tertiary", icon=":material/close:"):
                bridge.call(lambda engine: engine.comparison.runs.cancel(run_id))
                st.rerun()


def time_left(paces: dict[int, tuple[float, int]], run: RunSummary, now: float) -> str:
    """How long a run still takes, at its pace since this tab first saw it measure.

    paces: see ComparisonState; this run's is begun here. now: in seconds.
    """
    began, done = paces.setdefault(run.id, (now, run.done))
    if run.done < done + _PACE_OF:
        return ""
    minutes = (run.total - run.done) * (now - began) / (run.done - done) / 60
    return f"About {minutes:.0f} min left." if minutes >= 1.5 else "A minute or less left."


def _draw_choice(bridge: Bridge, state: ComparisonState, runs: Sequence[RunSummary]) -> None:
    if not runs:
        return
    by_id = {run.id: run for run in runs}
    given = [run_id for run_id in state.run_ids if run_id in by_id] or [runs[0].id]
    chosen = st.multiselect(
        "Runs to look at",
        list(by_id),
        given,
        format_func=lambda i: _label(by_id[i]),
        key=f"chosen-runs-{given[0]}-{by_id[given[0]].status}-{state.switches}",
        help="Several runs over one set are compared with each other.",
        select_all=False,
    )
    if chosen != given:  # else what was just begun, and has no result yet, stays to be shown
        state.run_ids = tuple(chosen)
    if chosen:
        draw_results(bridge, state, [by_id[run_id] for run_id in chosen])


def _label(run: RunSummary) -> str:
    done = "" if run.status == "done" else ", as far as it is"
    return f"{run.name} · {run.set_name}{done} · {run.started_at:%Y-%m-%d %H:%M} UTC"
