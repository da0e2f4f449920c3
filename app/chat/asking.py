"""Asking: the answer as it is written, which can be stopped at any moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from uuid import UUID

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.bridge import Bridge
from app.chat.markup import answer_html
from app.chat.turns import draw_question, draw_turn, kept_turn
from app.messages import show_error
from app.scrolling import scroll_to
from app.state import Ask, TabState, tab_state
from engine.answering.model import Answered, AnswerKind, AnswerText, Stage
from engine.chat.model import Turn
from engine.errors import DossierError
from engine.text.normalisation import normalise_question

STAGES = {
    "understanding": "Reading the question",
    "searching": "Searching",
    "reranking": "Ordering what was found",
    "reading": "Reading the passages",
    "writing": "Writing",
}
REDRAW_SECONDS = 0.1


def instead_of_stopped(ask: Ask, turns: Sequence[Turn]) -> Ask:
    """Asked again after a stop, a question takes the place of its stopped turn."""
    last = turns[-1] if turns else None
    if (
        last
        and not last.answer.complete
        and last.answer.asks_again == ask.asks_again
        and last.answer.question == normalise_question(ask.question)
    ):
        return replace(ask, replaces=last.id)
    return ask


def ask_and_show(
    bridge: Bridge, state: TabState, session_id: UUID, ask: Ask, before: Turn | None = None
) -> None:
    """Ask in a session, follow the answer, and leave the finished turn on the page.

    before: the turn whose question is asked again.

    Leaving by Stop, a rerun or a closed tab closes the stream; what was written is kept.
    """
    with st.container(key="latest"):
        writing, finished = st.empty(), st.container()
    state.written = written = threading.Event()
    try:
        with writing.container():
            turn = _follow(bridge, state, session_id, ask)
    finally:
        written.set()
    if turn is not None:
        writing.empty()
        with finished:
            draw_turn(bridge, turn, last=True, fresh=True, before=before)


def _follow(bridge: Bridge, state: TabState, session_id: UUID, ask: Ask) -> Turn | None:
    talk, beside = st.columns([3, 2], gap="medium")
    with beside:
        scroll_to(".st-key-latest", f"{session_id} {time.time()}")
    with talk:
        draw_question(ask.question)
        progress = _Progress(state, ask, "generated" if bridge.language_model else "quotes")
    scope, mode = ask.scope or state.scope, ask.mode or state.mode
    events = bridge.follow(
        lambda engine: engine.stream(
            ask.question,
            session_id=session_id,
            filter=scope,
            mode=mode,
            replaces=ask.replaces,
            asks_again=ask.asks_again,
        )
    )
    with closing(events):
        try:
            for event in events:
                if isinstance(event, Answered):
                    return kept_turn(event, session_id, scope, mode)
                progress.note(event)
        except DossierError as error:
            show_error(error)
            st.button("Try again", key="try-again", on_click=state.put, args=(ask,))
    return None


class _Progress:
    """What is shown while an answer is written. A quick one is not worth drawing any of it."""

    def __init__(self, state: TabState, ask: Ask, kind: AnswerKind) -> None:
        self._state, self._ask, self._kind = state, ask, kind
        self._place = st.empty()
        self._stage: DeltaGenerator | None = None
        self._written: DeltaGenerator | None = None
        self._began = self._drawn = time.monotonic()
        self._doing, self._text = "", ""
        self._shown: tuple[str, str] = ("", "")

    def note(self, event: Stage | AnswerText | None) -> None:
        """Take an event in; every moment is also a place where Stop takes hold."""
        if isinstance(event, Stage):
            self._doing = STAGES.get(event.name, event.name)
        elif isinstance(event, AnswerText):
            self._text += event.text
        now = time.monotonic()
        if now - self._drawn >= REDRAW_SECONDS:
            self._drawn = now
            tab_state()  # Streamlit looks for a Stop whenever the session's state is read
            self._draw(_stage_html(self._doing, now - self._began))

    def _draw(self, stage: str) -> None:
        if self._stage is None or self._written is None:
            with self._place.container():
                self._stage, self._written = self._draw_controls()
        shown_stage, shown_text = self._shown
        if stage != shown_stage:
            self._stage.html(stage)
        if self._text != shown_text:
            self._written.html(answer_html(self._text, self._kind))
        self._shown = (stage, self._text)

    def _draw_controls(self) -> tuple[DeltaGenerator, DeltaGenerator]:
        # The style sheet shows the first of these while the script runs, the second once it is stopped.
        with st.container(key="working", horizontal=True, vertical_alignment="center"):
            stage = st.empty()
            st.button("Stop", key="stop", type="tertiary", icon=":material/stop_circle:")
        written = st.empty()
        with st.container(key="stopped", horizontal=True, vertical_alignment="center"):
            st.caption("Stopped. What was written is kept.", width="content")
            st.button(
                "Ask again",
                key="ask-again",
                type="tertiary",
                icon=":material/refresh:",
                on_click=self._state.put,
                args=(self._ask,),
            )
            st.button("Go on", key="go-on", type="tertiary")
        return stage, written


def _stage_html(doing: str, seconds: float) -> str:
    waited = f" {seconds:.0f} s" if seconds >= 1 else ""
    return f'<div class="stage" role="status">{doing}…{waited}</div>'
