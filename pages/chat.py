"""Chat: ask, read the answer, and look at what it stands on."""

from __future__ import annotations

import streamlit as st

from app.bridge import CLOSE_SECONDS, get_bridge
from app.chat.asking import ask_and_show, instead_of_stopped
from app.chat.composer import draw_composer
from app.chat.place import draw_place
from app.chat.sessions import begin_session, conversation, draw_sessions, open_session
from app.chat.sharing import PARAMETER, draw_shared
from app.chat.turns import draw_turn
from app.chat.welcome import draw_welcome
from app.messages import show_error, shown_errors
from app.state import tab_state
from engine.errors import NotFound

SHOWN_TURNS = 10

bridge, state = get_bridge(), tab_state()
if PARAMETER in st.query_params:
    with st.sidebar:
        draw_sessions(bridge, state, None)
    with shown_errors():
        draw_shared(bridge, st.query_params[PARAMETER])
    st.stop()
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
    draw_place(None, ())
    st.stop()

session_id = session.id
latest = None if state.all_turns == session_id else SHOWN_TURNS
state.await_written(CLOSE_SECONDS)
turns, changed = bridge.call(lambda engine: conversation(engine, session_id, latest))
earlier = session.turn_count - len(turns)
if ask:
    ask = instead_of_stopped(ask, turns)
    turns = [turn for turn in turns if ask.replaces is None or turn.id < ask.replaces]
asked_again = {turn.answer.asks_again for turn in turns} | ({ask.asks_again} if ask else set())
known = {turn.id: turn for turn in turns}
if earlier > 0 and asked_again - {None} - known.keys():
    known |= {turn.id: turn for turn in bridge.call(lambda engine: engine.sessions.turns(session_id))}
if latest and earlier > 0 and st.button(f"Show {earlier} earlier", icon=":material/expand_less:"):
    state.all_turns = session_id
    st.rerun()
for turn in turns:
    last = turn is turns[-1] and ask is None
    with st.container(key="latest" if last else None):
        draw_turn(
            bridge,
            turn,
            last=last,
            changed=changed.get(turn.id, ()),
            asked_again=turn.id in asked_again,
            before=known.get(turn.answer.asks_again or 0),
        )
if not turns and not ask:
    draw_welcome(bridge, state)
if ask:
    ask_and_show(bridge, state, session.id, ask, known.get(ask.asks_again or 0))
draw_place(session.id, turns)
