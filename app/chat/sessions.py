"""Conversations: opening one by its address, the list beside it, renaming, deleting, keeping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from uuid import UUID

import streamlit as st

from app.bridge import Bridge
from app.chat.sharing import draw_sharing
from app.messages import shown_errors
from app.navigation import CHAT
from app.state import TabState
from app.text import plain, short
from engine import Engine
from engine.chat.model import Session, Turn
from engine.chat.sources import ChangedSource
from engine.errors import NotFound

PARAMETER = "session"


def open_session(bridge: Bridge) -> Session | None:
    """The session of `?session=`; None for a new chat. Raises NotFound for a broken or unknown id."""
    given = st.query_params.get(PARAMETER)
    if not given:
        return None
    try:
        session_id = UUID(given)
    except ValueError as error:
        raise NotFound("This link leads to no chat.", hint="It may be cut off. Here is a new one.") from error
    try:
        return bridge.call(lambda engine: engine.sessions.get(session_id))
    except NotFound as error:
        raise NotFound(
            "This chat is not there.", hint="It may have been deleted. Here is a new one."
        ) from error


def begin_session(bridge: Bridge, question: str) -> Session:
    """A new session, in the address from now on."""
    session = bridge.call(lambda engine: engine.sessions.create(question))
    st.query_params[PARAMETER] = str(session.id)
    return session


async def conversation(
    engine: Engine, session_id: UUID, latest: int | None
) -> tuple[list[Turn], Mapping[int, Sequence[ChangedSource]]]:
    """The latest turns, or all, and what has become of their sources since."""
    turns = await engine.sessions.turns(session_id, latest)
    return turns, await engine.changed_sources(turns) if turns else {}


@st.fragment
def draw_sessions(bridge: Bridge, state: TabState, current: Session | None) -> None:
    """The list in the side bar. A new session is in it before its first answer is.

    current: None as well for one that has begun since the page ran.
    """
    if current is None:
        with suppress(NotFound):
            current = open_session(bridge)
    with st.container(key="session-actions", horizontal=True, vertical_alignment="center", gap="small"):
        st.page_link(CHAT, label="New chat", icon=":material/edit_square:", width="stretch")
        if current:
            _draw_menu(bridge, state, current)
        else:
            st.html('<div class="begun-menu"></div>', width="content")  # the script's, as below
    search = st.text_input(
        "Search chats",
        key="session-search",
        type="search",
        placeholder="Search chats",
        label_visibility="collapsed",
    )
    if state.deleted_session:
        _draw_undo(bridge, state, state.deleted_session)
    with shown_errors():
        sessions = bridge.call(lambda engine: engine.sessions.list(search or "", limit=state.listed + 1))
        more, sessions = len(sessions) > state.listed, sessions[: state.listed]
        if current and not search and current.id not in {session.id for session in sessions}:
            sessions.insert(0, current)
        with st.container(key="session-list"):
            if current is None:
                st.html('<div class="begun"></div>')
            for session in sessions:
                if current and session.id == current.id:
                    with st.container(key="session-current"):
                        _draw_link(session)
                else:
                    _draw_link(session)
        if more:
            st.button("Older chats", key="older", type="tertiary", on_click=state.list_more)
        if search and not sessions:
            st.caption("No chat has these words.")


def _draw_link(session: Session) -> None:
    st.page_link(
        CHAT,
        label=plain(short(session.title or "Untitled", 60)),
        icon=":material/link:" if session.shared else None,
        query_params={PARAMETER: str(session.id)},
        width="stretch",
    )


def _draw_undo(bridge: Bridge, state: TabState, session_id: UUID) -> None:
    with st.container(key="undo-session", horizontal=True, vertical_alignment="center"):
        st.caption("Chat deleted.", width="content")
        if st.button("Undo", key="restore-session", type="tertiary"):
            with shown_errors():
                bridge.call(lambda engine: engine.sessions.restore(session_id))
                st.query_params[PARAMETER] = str(session_id)
            state.deleted_session = None
            st.rerun()


def _draw_menu(bridge: Bridge, state: TabState, session: Session) -> None:
    """Renaming, keeping and deleting the open session."""
    with st.popover(
        "Options", type="tertiary", key="session-menu", on_change="rerun", icon=":material/more_horiz:"
    ) as menu:
        if not menu.open:
            return
        title = st.text_input("Title", session.title, key=f"title-{session.id}", max_chars=80)
        if title and title != session.title:
            with shown_errors():
                bridge.call(lambda engine: engine.sessions.rename(session.id, title))
                st.rerun()
        draw_sharing(bridge, state, session)
        st.download_button(
            "Export as Markdown",
            bridge.later(lambda engine: engine.sessions.export(session.id)),  # recorded once it is wanted
            file_name=f"{file_name(session.title)}.md",
            mime="text/markdown",
            on_click="ignore",
            icon=":material/download:",
            key="export",
        )
        if st.button("Delete chat", key="delete-session", icon=":material/delete:"):
            with shown_errors():
                bridge.call(lambda engine: engine.sessions.delete(session.id))
                state.deleted_session = session.id
                del st.query_params[PARAMETER]
                st.rerun()


def file_name(title: str) -> str:
    """A title as the name of a file."""
    kept = "".join(c if c.isalnum() or c in " -_" else " " for c in title)
    return " ".join(kept.split())[:60] or "chat"
