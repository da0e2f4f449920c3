"""Question sets: made, taken in, looked at, given out."""

from __future__ import annotations

import streamlit as st

from app.bridge import Bridge
from app.messages import shown_errors
from app.rerankers.naming import draw_rename
from app.rerankers.state import VIEWS, ComparisonState, Removed
from app.rerankers.undo import draw_undo
from app.text import counted, plain, short
from engine import Engine
from engine.evaluation.model import QuestionSet, SetQuestion
from engine.evaluation.set_documents import Adding

_POLL_SECONDS = 1.0
_LISTED = 200
_TOLD = 20


def draw_sets(bridge: Bridge, state: ComparisonState) -> None:
    """How to get one, and the one that is open."""
    draw_undo(bridge, state, "set", "question")
    with shown_errors():
        _draw_making(bridge, state)
        _draw_imported(state)
        sets = bridge.call(lambda engine: engine.comparison.sets.list())
        if not sets:
            st.caption(
                "There is no question set yet. A set says which passages answer which question; rerankers "
                "are measured by it. Import one, make one from answers with a thumb up, or add questions "
                "under One question."
            )
            return
        ids = [one.id for one in sets]
        names = {one.id: f"{one.name} · {counted(one.question_count, 'question')}" for one in sets}
        state.set_id = st.selectbox(
            "Set",
            ids,
            ids.index(state.set_id) if state.set_id in ids else 0,
            format_func=lambda i: names[i],
            key=f"open-set-{state.uploads}",
        )
        set_id = state.set_id
        _draw_set(bridge, state, bridge.call(lambda engine: engine.comparison.sets.get(set_id)))


def _draw_making(bridge: Bridge, state: ComparisonState) -> None:
    with st.container(horizontal=True):
        # What is wrong is told where it was asked for: a popover lies above the page.
        with st.popover("Import", icon=":material/upload:", key=f"import-{state.uploads}"), shown_errors():
            _draw_import(bridge, state)
        with (
            st.popover("From chat", icon=":material/thumb_up:", key=f"from-chat-{state.uploads}"),
            shown_errors(),
        ):
            st.markdown(
                "Questions whose answers got a thumb up. What such an answer cites counts as relevant; a "
                "liked “not in the documents” is a question that nothing answers."
            )
            name = st.text_input("Name", "From chat", key="chat-set-name")
            if st.button("Make the set", key="chat-set", type="primary"):
                made = bridge.call(lambda engine: engine.comparison.sets.from_chat(name))
                state.set_id = made.id
                state.uploads += 1
                st.toast(f"{counted(made.question_count, 'question')} added.")
                st.rerun()
        with st.popover("Empty set", icon=":material/add:", key=f"empty-set-{state.uploads}"), shown_errors():
            name = st.text_input("Name", key="set-name", placeholder="What it is about")
            if st.button("Make it", key="make-set", type="primary"):
                state.set_id = bridge.call(lambda engine: engine.comparison.sets.create(name)).id
                state.uploads += 1
                st.rerun()


def _draw_import(bridge: Bridge, state: ComparisonState) -> None:
    st.markdown(
        "A zip, or the files: `queries.jsonl` (id, text, answerable), `qrels.tsv` (query-id, doc-id, score) "
        "and, if it brings documents along, `corpus.jsonl` (id, title, text). Without a corpus, a doc-id is "
        "the file name or the title of a document that is here."
    )
    with st.form("import-form", border=False):
        name = st.text_input("Name", key=f"import-name-{state.uploads}", placeholder="As the file")
        files = st.file_uploader(
            "Files",
            accept_multiple_files=True,
            key=f"import-files-{state.uploads}",
            label_visibility="collapsed",
        )
        if st.form_submit_button("Import", type="primary"):
            given = {file.name: file.getvalue() for file in files}
            named = name or (files[0].name.rsplit(".", 1)[0] if len(files) == 1 else "Imported")
            state.imported = bridge.call(lambda engine: engine.comparison.import_set(named, given))
            state.set_id = state.imported.set.id
            state.uploads += 1
            st.rerun()


def _draw_imported(state: ComparisonState) -> None:
    report = state.imported
    if report is None:
        return
    with st.container(border=True, key="imported"):
        with st.container(horizontal=True, vertical_alignment="center"):
            told = f"“{report.set.name}” has {counted(report.set.question_count, 'question')}."
            problems = (
                f" {counted(len(report.problems), 'line')} left out or in doubt:" if report.problems else ""
            )
            st.markdown(plain(told + problems), width="content")
            if report.problems:
                st.download_button(
                    "All as text", "\n".join(report.problems), "problems.txt", key="problems", type="tertiary"
                )
            if st.button("Put away", key="put-away-import", type="tertiary", icon=":material/check:"):
                state.imported = None
                st.rerun()
        if report.problems:
            more = len(report.problems) - _TOLD
            st.markdown(
                "\n".join(f"- {plain(problem)}" for problem in report.problems[:_TOLD])
                + (f"\n- and {more:,} more" if more > 0 else "")
            )


def _draw_set(bridge: Bridge, state: ComparisonState, of: QuestionSet) -> None:
    facts = [
        counted(of.question_count, "question"),
        f"{of.judged_count:,} judged",
        f"{of.unanswerable_count:,} that nothing answers",
    ]
    if of.lost_count and not of.missing_count:
        facts.append(
            f"{counted(of.lost_count, 'judgment')} of what is not among the documents: counts as not found"
        )
    st.caption(" · ".join(facts))
    if of.tag:
        _draw_documents(bridge, of)
    with st.container(horizontal=True):
        if st.button("Measure rerankers", key="measure-set", type="primary", icon=":material/play_arrow:"):
            state.open(VIEWS[2])
            st.rerun()
        st.download_button(
            "Export",
            bridge.later(lambda engine: engine.comparison.export_set(of.id)),
            f"{of.name}.zip",
            "application/zip",
            key="export-set",
            icon=":material/download:",
        )
        if not of.tag and st.button(
            "Add from chat",
            key="add-from-chat",
            icon=":material/thumb_up:",
            help="Questions whose answers got a thumb up since.",
        ):
            added = bridge.call(lambda engine: engine.comparison.sets.add_from_chat(of.id))
            st.toast(f"{counted(added, 'question')} added.")
            state.uploads += 1
            st.rerun()
        draw_rename(of.name, f"set-{of.id}-{state.uploads}", lambda name: _rename(bridge, state, of.id, name))
        if st.button("Delete", key="delete-set", icon=":material/delete:"):
            bridge.call(lambda engine: engine.comparison.sets.delete(of.id))
            state.removed, state.set_id, state.imported = Removed("set", of.id), None, None
            st.rerun()
    _draw_questions(bridge, state, of)


def _draw_documents(bridge: Bridge, of: QuestionSet) -> None:
    async def progress(engine: Engine) -> Adding | None:
        return engine.comparison.documents.progress(of.id)

    adding = bridge.call(progress)
    if adding and adding.running:
        st.fragment(_follow, run_every=_POLL_SECONDS)(bridge, of.id)
        return
    if adding and adding.error:
        st.warning(plain(f"Adding its documents ended early: {adding.error}"))
    if not of.missing_count:
        st.caption(
            f"Its {counted(of.record_count, 'document')} are among yours, tagged “{of.tag}”: chat finds them "
            "too. Its questions are asked of them alone. To be rid of them, delete them by that tag."
        )
        return
    st.info(
        f"It brought {counted(of.record_count, 'document')} along; {of.missing_count:,} are not here yet. "
        f"Added, they stand among yours, tagged “{of.tag}”, and chat finds them too."
    )
    if st.button(f"Add {counted(of.missing_count, 'document')}", key="add-documents", icon=":material/add:"):
        bridge.call(lambda engine: engine.comparison.documents.add(of.id))
        st.rerun()


def _follow(bridge: Bridge, set_id: int) -> None:
    async def progress(engine: Engine) -> Adding | None:
        return engine.comparison.documents.progress(set_id)

    with shown_errors():
        adding = bridge.call(progress)
        if adding is None or not adding.running:
            st.rerun()
        st.progress(
            adding.done / max(adding.total, 1), f"{adding.done:,} of {counted(adding.total, 'document')}"
        )
        if st.button("Cancel", key="cancel-documents", type="tertiary", icon=":material/close:"):
            bridge.call(lambda engine: engine.comparison.documents.cancel(set_id))
            st.rerun()


def _draw_questions(bridge: Bridge, state: ComparisonState, of: QuestionSet) -> None:
    search = st.text_input("Find a question", key=f"find-question-{of.id}", placeholder="Words of it")
    questions, total = bridge.call(
        lambda engine: engine.comparison.sets.questions(of.id, search=search, limit=_LISTED)
    )
    if not questions:
        st.caption(
            "No question has these words." if search else "No questions yet: add some under One question."
        )
        return
    chosen = st.dataframe(
        {
            "Question": [question.text for question in questions],
            "Answered by": [_judged(question) for question in questions],
        },
        hide_index=True,
        key=f"set-questions-{of.id}-{state.uploads}-{search}",  # a row chosen in one list is none of another
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "Question": st.column_config.TextColumn(width="large"),
            "Answered by": st.column_config.TextColumn(width="large"),
        },
    )
    if total > len(questions):
        st.caption(f"The first {len(questions):,} of {total:,}.")
    rows = chosen.selection.rows
    if rows and rows[0] < len(questions):
        chosen_question = questions[rows[0]]
        with st.container(horizontal=True):
            if st.button("Compare on it", key="compare-on", icon=":material/compare_arrows:"):
                state.compare(chosen_question.text, state.rerankers or ("none", "built-in"), of.tag)
                st.rerun()
            if st.button("Take it out", key="take-out", icon=":material/remove:"):
                bridge.call(lambda engine: engine.comparison.sets.remove_question(chosen_question.id))
                state.removed = Removed("question", chosen_question.id)
                state.uploads += 1
                st.rerun()


def _rename(bridge: Bridge, state: ComparisonState, set_id: int, name: str) -> None:
    bridge.call(lambda engine: engine.comparison.sets.rename(set_id, name))
    state.uploads += 1


def _judged(question: SetQuestion) -> str:
    if not question.answerable:
        return "nothing"
    relevant = [j for j in question.judgments if j.gain > 0]
    return "; ".join(short(j.text or j.title or j.file_name, 80) for j in relevant[:3]) or "not judged"
