"""A link by which others read a chat: making and ending it, and what it leads to."""

from __future__ import annotations

from urllib.parse import urlsplit

import streamlit as st

from app.bridge import Bridge
from app.chat.turns import draw_turn
from app.messages import shown_errors
from app.state import TabState
from app.text import counted, escape
from engine.answering.model import Answer
from engine.chat.hidden import HIDDEN
from engine.chat.model import Session

PARAMETER = "shared"


def draw_sharing(bridge: Bridge, state: TabState, session: Session) -> None:
    """Of the open session: the link while this tab knows it, a new one, an end to it."""
    if not bridge.guarded:
        return  # whoever comes reads everything anyway
    if session.shared:
        st.caption("Whoever comes in with the link reads this chat, and what you ask in it later.")
        if state.link is not None and state.link[0] == session.id:
            st.code(state.link[1], language=None, wrap_lines=True)
        else:
            st.caption("The link was shown when it was made. A new one ends it.")
    with st.container(horizontal=True), shown_errors():
        if st.button("New link" if session.shared else "Share", key="share", icon=":material/link:"):
            token = bridge.call(lambda engine: engine.sessions.share(session.id))
            state.link = (session.id, _link(token))
            st.rerun()
        if session.shared and st.button("Stop sharing", key="unshare", icon=":material/link_off:"):
            bridge.call(lambda engine: engine.sessions.unshare(session.id))
            state.link = None
            st.rerun()


def _link(token: str) -> str:
    """Under the name by which the browser knows this server."""
    here = urlsplit(st.context.url or "")
    return f"{here.scheme}://{here.netloc}/?{PARAMETER}={token}" if here.netloc else f"/?{PARAMETER}={token}"


def draw_shared(bridge: Bridge, token: str) -> None:
    """What a link leads to, read only. Raises NotFound for one that has ended."""
    session, turns = bridge.call(lambda engine: engine.sessions.shared(token))
    changed = bridge.call(lambda engine: engine.changed_sources(turns))
    answers = [turn.answer for turn in turns]
    named = session.title if not answers or session.title != answers[0].question else "Shared chat"
    st.html(f"<h1>{escape(named)}</h1>{_told(answers)}")
    known = {turn.id: turn for turn in turns}
    for turn in turns:
        draw_turn(
            bridge,
            turn,
            last=turn is turns[-1],
            changed=changed.get(turn.id, ()),
            before=known.get(turn.answer.asks_again or 0),
            read_only=True,
        )


def _told(answers: list[Answer]) -> str:
    facts = ["Shared with you by a link, to be read only."]
    if not answers:
        facts.append("Nothing has been asked in it yet.")
    if hidden := sum(answer.text == HIDDEN for answer in answers):
        verb = "is" if hidden == 1 else "are"
        facts.append(
            f"{counted(hidden, 'answer')} {verb} left empty: made of documents that you may not read, "
            "or that are gone. Ask an administrator for their collection."
        )
    return f'<p class="place">{escape(" ".join(facts))}</p>'
