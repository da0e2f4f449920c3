"""One turn of a conversation: the question, the answer, its sources, and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import streamlit as st

from app.bridge import Bridge
from app.chat.differences import difference_html
from app.chat.evidence import draw_evidence
from app.chat.markup import answer_html, numbers_in
from app.chat.receipt import receipt_html
from app.messages import shown_errors
from app.state import Ask, tab_state
from app.text import counted, escape, plain, short
from engine.answering.model import Answer, Answered, Mode
from engine.chat.model import Turn, Vote
from engine.chat.sources import ChangedSource
from engine.documents.model import DocumentFilter

_VOTES: tuple[Vote, Vote] = ("down", "up")


@st.fragment
def draw_turn(
    bridge: Bridge,
    turn: Turn,
    *,
    last: bool,
    fresh: bool = False,
    changed: Sequence[ChangedSource] = (),
    asked_again: bool = False,
    before: Turn | None = None,
    read_only: bool = False,
) -> None:
    """A turn; choosing a source, voting and the receipt redraw nothing else.

    The last one shows its first source before any is chosen. fresh: it was answered in this
    very run, so that what it knows of its documents needs no second look.
    changed: its sources that are no longer what they were. asked_again: by a later turn.
    before: the turn whose question it asks again. read_only: nothing is offered that changes it.
    """
    answer = turn.answer
    talk, beside = st.columns([3, 2], gap="medium")
    with talk:
        if tab_state().editing == turn.id and not read_only:
            _draw_editor(turn)
        else:
            draw_question(answer.question)
        body = answer_html(answer.text, answer.kind, turn=turn.id, unsupported=answer.unsupported)
        st.html(body + hints_html(answer))
        if changed:
            _draw_changed(turn, changed, asked_again=asked_again or read_only)
        if before is not None:
            st.html(difference_html(before.answer, answer, opened=last))
        numbers = source_numbers(answer)
        chosen = _choose_source(turn, numbers) if numbers else None
        _draw_actions(bridge, turn, last=last, read_only=read_only)
    number = chosen or (numbers[0] if numbers and last else None)
    if number is not None:
        with beside, shown_errors():
            look = None if fresh and chosen is None else bridge
            draw_evidence(look, answer, turn.id, number, chosen=chosen is not None)


def draw_question(question: str) -> None:
    """A question as it was asked."""
    st.html(question_html(question))


def question_html(question: str) -> str:
    """A question as it was asked."""
    return f'<div class="question" role="heading" aria-level="2">{escape(question)}</div>'


def kept_turn(event: Answered, session_id: UUID, scope: DocumentFilter, mode: Mode) -> Turn:
    """The turn as it was just kept."""
    return Turn(event.turn_id or 0, session_id, 0, event.answer, mode, scope, datetime.now(UTC))


def source_numbers(answer: Answer) -> list[int]:
    """Numbers of the sources that the reader may open."""
    if answer.kind == "no_answer":
        return [*range(1, len(answer.sources) + 1)]
    cited = {citation.number for citation in answer.citations} | {*numbers_in(answer.text)}
    return sorted(number for number in cited if number <= len(answer.sources))


def source_name(answer: Answer, number: int) -> str:
    """Title, page and status of a source's document."""
    passage = answer.sources[number - 1].passage
    status = f" ({passage.document_status})" if passage.document_status != "active" else ""
    page = f", p. {passage.page}" if passage.page else ""
    return short(passage.document_title) + page + status


def _choose_source(turn: Turn, numbers: list[int]) -> int | None:
    none = turn.answer.kind == "no_answer"
    return st.pills(
        "Nearest passages" if none else "Sources",
        numbers,
        format_func=lambda number: f"**{number}** {plain(source_name(turn.answer, number))}",
        key=f"source-{turn.id}",
        label_visibility="visible" if none else "collapsed",
        wrap=True,
    )


def hints_html(answer: Answer) -> str:
    """What a reader should know of an answer beside its text."""
    hints = []
    if answer.unsupported:
        hints.append(f"{counted(len(answer.unsupported), 'sentence')} without support, underlined.")
    if answer.removed_citations:
        hints.append(f"{counted(answer.removed_citations, 'citation')} that pointed nowhere taken out.")
    if answer.notice:
        hints.append(answer.notice)
    elif not answer.complete:
        hints.append("Stopped before the end.")
    return "".join(f'<div class="hint">{escape(hint)}</div>' for hint in hints)


def _draw_changed(turn: Turn, changed: Sequence[ChangedSource], *, asked_again: bool) -> None:
    """That the answer no longer stands on what its documents say, and the way to a new one."""
    with st.container(key=f"changed-{turn.id}", horizontal=True, vertical_alignment="center", gap="small"):
        st.html(f'<div class="hint">{escape(_what_changed(changed))}</div>', width="content")
        if not asked_again and st.button(
            "Ask again", key=f"anew-{turn.id}", type="tertiary", icon=":material/update:"
        ):
            tab_state().ask = Ask(turn.answer.question, asks_again=turn.id, scope=turn.filter, mode=turn.mode)
            st.rerun()


def _what_changed(changed: Sequence[ChangedSource]) -> str:
    titles = ", ".join(dict.fromkeys(short(source.title) for source in changed))
    if len(changed) > 1:
        return f"{len(changed)} sources of this answer have changed since: {titles}"
    if changed[0].change == "gone":
        return f"A source of this answer is gone: {titles}"
    return f"A source of this answer has changed since: {titles}"


def _draw_actions(bridge: Bridge, turn: Turn, *, last: bool, read_only: bool) -> None:
    state = tab_state()
    with st.container(key=f"actions-{turn.id}", horizontal=True, vertical_alignment="center", gap="small"):
        vote = None if read_only else _draw_vote(bridge, turn)
        with st.popover("Receipt", type="tertiary", key=f"receipt-{turn.id}", on_change="rerun") as receipt:
            if receipt.open:
                st.html(receipt_html(turn))
        if last and not read_only:
            if st.button("Regenerate", key=f"again-{turn.id}", type="tertiary", icon=":material/refresh:"):
                state.ask = Ask(turn.answer.question, replaces=turn.id, asks_again=turn.answer.asks_again)
                st.rerun()
            st.button(
                "Edit question",
                key=f"edit-{turn.id}",
                type="tertiary",
                icon=":material/edit:",
                on_click=state.edit,
                args=(turn.id,),
            )
    if vote is not None:
        _draw_reason(bridge, turn, vote)


def _draw_vote(bridge: Bridge, turn: Turn) -> Vote | None:
    default = _VOTES.index(turn.vote) if turn.vote else None
    chosen = st.feedback(
        "thumbs", key=f"vote-{turn.id}", default=default, on_change=_keep_vote, args=(bridge, turn)
    )
    return None if chosen is None else _VOTES[chosen]


def _draw_reason(bridge: Bridge, turn: Turn, vote: Vote) -> None:
    st.text_input(
        "Why?",
        value=turn.reason,
        key=f"why-{turn.id}",
        placeholder="What was good?" if vote == "up" else "What was wrong?",
        label_visibility="collapsed",
        max_chars=1000,
        on_change=_keep_vote,
        args=(bridge, turn),
        width=360,
    )


def _keep_vote(bridge: Bridge, turn: Turn) -> None:
    chosen = st.session_state.get(f"vote-{turn.id}")
    reason = st.session_state.get(f"why-{turn.id}", turn.reason) or ""
    vote = None if chosen is None else _VOTES[chosen]
    with shown_errors():
        bridge.call(lambda engine: engine.sessions.vote(turn.id, vote, reason))


def _draw_editor(turn: Turn) -> None:
    state = tab_state()
    with st.form(f"editor-{turn.id}", border=True):
        question = st.text_area("Your question", turn.answer.question, key=f"draft-{turn.id}")
        with st.container(horizontal=True):
            asked = st.form_submit_button("Ask again", type="primary")
            st.form_submit_button("Cancel", type="tertiary", on_click=state.edit, args=(None,))
    if asked:
        state.edit(None)
        state.put(Ask(question, replaces=turn.id))
        st.rerun()
