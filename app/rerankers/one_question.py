"""One question, and what each reranker makes of the same passages."""

from __future__ import annotations

import random

import streamlit as st

from app.bridge import Bridge
from app.messages import shown_errors
from app.rerankers.charts import SHOWN, ranks_figure
from app.rerankers.judging import draw_judging
from app.rerankers.picking import pick_rerankers
from app.rerankers.state import ComparisonState
from app.text import counted, escape, plain, short
from engine.documents.model import DocumentFilter
from engine.evaluation.model import ArmResult, Choice

_SIDES = "ABCDEFGH"
_FIRST = ("none", "built-in")


def draw_one_question(bridge: Bridge, state: ComparisonState) -> None:
    """The form, the lists, the vote."""
    with st.form("compare", border=False):
        question = st.text_input(
            "Question",
            state.question,
            key=f"compare-question-{state.switches}",
            placeholder="Ask what your users ask, and press Enter",
        )
        chosen = pick_rerankers(bridge, state.rerankers or _FIRST, f"compare-rerankers-{state.switches}")
        with st.container(horizontal=True, vertical_alignment="center"):
            blind = st.toggle(
                "Blind",
                state.blind,
                key="blind",
                help="Two lists, A and B; which is which is told after the vote.",
            )
            asked = st.form_submit_button("Compare", type="primary")
    if asked:
        if question != state.question:
            state.tag = ""
        state.question, state.rerankers, state.blind = question, tuple(chosen), blind
        state.arms, state.voted = (), False
    if (asked or (state.question and not state.arms)) and _can_compare(state):
        _compare(bridge, state)
    if state.arms:
        _draw_lists(bridge, state)
    elif not state.question:
        st.caption(
            "Each reranker orders the same passages that the search found. You see its order and scores, how "
            "long it took and what it cost; with two, you can say which list is better."
        )
    _draw_votes(bridge)


def _can_compare(state: ComparisonState) -> bool:
    if state.blind and len(state.rerankers) != 2:
        st.warning("A blind comparison is of two rerankers. Choose two.")
        return False
    if len(state.rerankers) < 2:
        st.warning("Choose two rerankers or more.")
        return False
    return True


def _compare(bridge: Bridge, state: ComparisonState) -> None:
    arms: list[ArmResult] = []
    question, rerankers = state.question, state.rerankers
    filter = DocumentFilter(tags=(state.tag,)) if state.tag else DocumentFilter()
    place = st.empty()
    with shown_errors(), place, st.status("Searching…") as status:
        for arm in bridge.follow(lambda engine: engine.comparison.stream(question, rerankers, filter)):
            if arm is not None:
                arms.append(arm)
                left = len(rerankers) - len(arms)
                told = f"{len(arms)} of {len(rerankers)} done"
                status.update(label=told if state.blind or not left else f"{told}; {rerankers[len(arms)]}…")
        if state.blind:
            random.shuffle(arms)
        state.arms = tuple(arms)
    place.empty()


def _draw_lists(bridge: Bridge, state: ComparisonState) -> None:
    hidden = state.blind and not state.voted
    names = [_SIDES[n] if hidden else arm.reranker for n, arm in enumerate(state.arms)]
    if state.tag:
        _draw_scope(state)
    if not state.arms[0].candidates:
        st.info("The search finds no passage for this question. Add documents, or ask in other words.")
        return
    st.plotly_chart(ranks_figure(state.arms, names), key="ranks", config={"displayModeBar": False})
    if len(state.arms) == 2:
        _draw_voting(bridge, state)
    places = {c.passage.id: place for place, c in enumerate(state.arms[0].candidates, start=1)}
    for column, arm, name in zip(st.columns(len(state.arms)), state.arms, names, strict=True):
        with column:
            st.html(_list_html(arm, name, hidden, places if arm is not state.arms[0] else {}))
    if not hidden:
        draw_judging(bridge, state.question, state.arms)


def _draw_scope(state: ComparisonState) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="compare-scope"):
        st.caption(
            f"Asked of the documents tagged “{plain(state.tag)}” alone, as its set does.", width="content"
        )
        if st.button("Ask all documents", key="compare-all", type="tertiary"):
            state.tag, state.arms, state.voted = "", (), False
            st.rerun()


def _list_html(arm: ArmResult, name: str, hidden: bool, places: dict[int, int]) -> str:
    head = [f"<h3>{escape(name)}</h3>"]
    if not hidden:
        head.append(f'<div class="place">{escape(_price(arm))}</div>')
    if arm.error:
        order = "Not scored, so in the search's order: " if arm.served_by == "none" else ""
        told = "It could not score this question." if hidden else f"{order}{arm.error}"
        head.append(f'<div class="hint">{escape(told)}</div>')
    elif arm.notice and not hidden:
        head.append(f'<div class="hint">{escape(arm.notice)}</div>')
    items: list[str] = []
    for place, candidate in enumerate(arm.candidates[:SHOWN], start=1):
        before = places.get(candidate.passage.id)
        moved = "" if not places or before == place else "new" if before is None else _moved(before - place)
        scores = f"score {candidate.score:.3f} · search {candidate.fused:.3f}"
        if candidate.reranked is not None:
            scores += f" · reranker {candidate.reranked:.3f}"
        passage = candidate.passage
        page = f", p. {passage.page}" if passage.page else ""
        title = escape(short(passage.document_title, 60))
        items.append(
            f'<li><span class="number">{place}</span><b>{title}</b>{page} '
            f'<span class="moved">{moved}</span><p>{escape(short(passage.text, 260))}</p>'
            + ("" if hidden else f'<div class="place">{scores}</div>')
            + "</li>"
        )
    return f'<div class="ranking">{"".join(head)}<ol>{"".join(items)}</ol></div>'


def _moved(places: int) -> str:
    return f"▲ {places}" if places > 0 else f"▼ {-places}"


def _price(arm: ArmResult) -> str:
    parts = [f"{arm.milliseconds:,.1f} ms"]
    if arm.prompt_tokens:
        parts.append(f"{arm.prompt_tokens + arm.completion_tokens:,} tokens")
    if arm.cost_usd:
        parts.append(f"{arm.cost_usd:.6f} US$")
    return " · ".join(parts)


def _draw_voting(bridge: Bridge, state: ComparisonState) -> None:
    if state.voted:
        sides = " and ".join(f"{_SIDES[n]} was {arm.reranker}" for n, arm in enumerate(state.arms))
        st.success(plain(f"Your vote is kept. {sides}." if state.blind else "Your vote is kept."))
        return
    names = _SIDES if state.blind else [arm.reranker for arm in state.arms]
    left, right = state.arms
    choices: list[tuple[str, Choice]] = [
        (f"{names[0]} is better", "left"),
        ("They are alike", "tie"),
        (f"{names[1]} is better", "right"),
    ]
    with st.container(horizontal=True, horizontal_alignment="center", key="voting"):
        for number, (label, choice) in enumerate(choices, start=1):
            if st.button(plain(label), key=f"vote-{choice}", shortcut=f"Alt+{number}"):
                with shown_errors():
                    bridge.call(
                        lambda engine, c=choice: engine.comparison.vote(  # type: ignore[misc]
                            state.question, left, right, c, blind=state.blind
                        )
                    )
                    state.voted = True
                    st.rerun()


def _draw_votes(bridge: Bridge) -> None:
    with shown_errors():
        votes = bridge.call(lambda engine: engine.comparison.votes())
        if not votes:
            return
        total = sum(v.left_wins + v.right_wins + v.ties for v in votes)
        with st.expander(f"{counted(total, 'vote')} so far"):
            st.dataframe(
                {
                    "Rerankers": [f"{v.left} against {v.right}" for v in votes],
                    "First better": [v.left_wins for v in votes],
                    "Second better": [v.right_wins for v in votes],
                    "Alike": [v.ties for v in votes],
                    "Of them blind": [v.blind for v in votes],
                },
                hide_index=True,
                key="votes",
            )
