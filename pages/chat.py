"""Chat: ask, read the answer, and look at what it stands on."""

from __future__ import annotations

import streamlit as st

from app.bridge import CLOSE_SECONDS, get_bridge
from app.chat.asking import ask_and_show, instead_of_stopped
from app.chat.composer import draw_composer
from app.chat.sessions import begin_session, draw_session_menu, draw_sessions, open_session
from app.chat.turns import draw_turn
from app.chat.welcome import draw_welcome
from app.messages import show_error
from app.state import tab_state
from app.text import escape
from engine.errors import NotFound

SHOWN_TURNS = 10

bridge, state = get_bridge(), tab_state()
broken: NotFound | None = None
session = None
try:
    session = open_session(bridge)
except NotFound as error:
    broken = error
ask = draw_composer(bridge, state)
if ask and session is None:
    session, broken = begin_session(bridge, ask.question), None

with st.sidebar:
    draw_sessions(bridge, state, session)
if broken:
    show_error(broken)
if session is None:
    draw_welcome(bridge, state)
    st.stop()

with st.container(
    key="session-head", horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"
):
    st.html(f"<h1>{escape(session.title)}</h1>", width="content")
    draw_session_menu(bridge, state, session)
session_id = session.id
state.await_written(CLOSE_SECONDS)
turns = bridge.call(lambda engine: engine.sessions.turns(session_id))
if ask:
    ask = instead_of_stopped(ask, turns)
if ask and ask.replaces:
    turns = [turn for turn in turns if turn.id < ask.replaces]
shown = turns if state.all_turns == session.id else turns[-SHOWN_TURNS:]
if len(shown) < len(turns) and st.button(
    f"Show {len(turns) - len(shown)} earlier", icon=":material/expand_less:"
):
    state.all_turns = session.id
    st.rerun()
for turn in shown:
    last = turn is turns[-1] and ask is None
    with st.container(key="latest" if last else None):
        draw_turn(bridge, turn, last=last)
if not shown and not ask:
    draw_welcome(bridge, state)
if ask:
    ask_and_show(bridge, state, session.id, ask)
