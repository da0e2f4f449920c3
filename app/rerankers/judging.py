"""Marking passages relevant, which adds the question to a set."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.bridge import Bridge
from app.messages import shown_errors
from app.rerankers.charts import SHOWN
from app.text import plain, short
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
            into = chosen.id if isinstance(chosen, QuestionSet) else None
            given = [] if nothing else [passages[i] for i in relevant]
            shown = list(passages.values())
            bridge.call(lambda engine: engine.comparison.sets.judge_all(into, question, shown, given))
            st.toast("Kept in the set.")


def _known(bridge: Bridge, chosen: QuestionSet | str, question: str) -> SetQuestion | None:
    if not isinstance(chosen, QuestionSet):
        return None
    return bridge.call(lambda engine: engine.comparison.sets.find(chosen.id, question))


def _name(chosen: QuestionSet | str) -> str:
    return chosen if isinstance(chosen, str) else chosen.name


def _label(passage: Passage) -> str:
    return plain(f"{short(passage.document_title, 30)}: {short(passage.text, 80)}")
