"""Marking passages relevant, which adds the question to a set."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.bridge import Bridge
from app.messages import shown_errors
from app.rerankers.charts import SHOWN
from app.text import plain, short
from engine import Engine
from engine.documents.model import Passage
from engine.evaluation.model import ArmResult, QuestionSet, SetQuestion

_NEW = "A new set"


def draw_judging(bridge: Bridge, question: str, arms: Sequence[ArmResult]) -> None:
    """Which of the passages shown answer the question; kept in a question set."""
    passages = {c.passage.id: c.passage for arm in arms for c in arm.candidates[:SHOWN]}
    with st.expander("Add this question to a set"), shown_errors():
        sets = [s for s in bridge.call(lambda engine: engine.comparison.sets.list()) if not s.tag]
        offered: list[QuestionSet | str] = [*sets, _NEW]
        chosen = st.selectbox("Set", offered, format_func=_name, key="judge-set")
        known = _known(bridge, chosen, question)
        judged = {j.content_hash for j in known.judgments if j.gain > 0} if known else set()
        relevant = st.multiselect(
            "Passages that answer it",
            list(passages),
            [i for i, passage in passages.items() if passage.content_hash in judged],
            format_func=lambda i: _label(passages[i]),
            key=f"relevant-{getattr(chosen, 'id', 0)}-{question}",
            placeholder="Choose from the passages above",
        )
        with st.container(horizontal=True):
            keep = st.button("Keep", key="judge", type="primary", disabled=not relevant)
            nothing = st.button("Nothing answers it", key="unanswerable")
        if keep or nothing:
            given = [] if nothing else [passages[i] for i in relevant]
            taken_back = [p for p in passages.values() if p.content_hash in judged and p not in given]
            bridge.call(lambda engine: _keep(engine, chosen, question, given, taken_back))
            st.toast("Kept in the set.")


async def _keep(
    engine: Engine,
    chosen: QuestionSet | str,
    question: str,
    given: Sequence[Passage],
    back: Sequence[Passage],
) -> None:
    sets = engine.comparison.sets
    into = chosen if isinstance(chosen, QuestionSet) else await sets.create("My questions")
    if not given:
        await sets.mark_unanswerable(into.id, question)
    for passage in back:
        await sets.judge(into.id, question, passage, None)
    for passage in given:
        await sets.judge(into.id, question, passage, 1)


def _known(bridge: Bridge, chosen: QuestionSet | str, question: str) -> SetQuestion | None:
    if not isinstance(chosen, QuestionSet):
        return None
    return bridge.call(lambda engine: engine.comparison.sets.find(chosen.id, question))


def _name(chosen: QuestionSet | str) -> str:
    return chosen if isinstance(chosen, str) else chosen.name


def _label(passage: Passage) -> str:
    return plain(f"{short(passage.document_title, 30)}: {short(passage.text, 80)}")
