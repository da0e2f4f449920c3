"""Taking files in, and following them on their way."""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from app.bridge import Bridge
from app.library.collections import collection_names
from app.messages import shown_errors
from app.state import TabState
from app.text import counted, escape
from engine import Engine
from engine.access.collections import DEFAULT
from engine.documents.jobs import FINISHED, FileProgress, Job, Upload
from engine.errors import NotFound

_POLL_SECONDS = 0.7
_STAGES = {
    "waiting": "Waiting",
    "parsing": "Reading",
    "embedding": "Embedding",
    "storing": "Storing",
    "done": "Done",
    "unchanged": "Already here, unchanged",
    "replaced": "Replaced by the new version",
    "failed": "Failed",
    "cancelled": "Cancelled",
}
_LISTED = 200  # files shown one by one


def draw_upload(bridge: Bridge, state: TabState) -> None:
    """The place to drop files; what is dropped is ingested at once."""
    if not bridge.may("edit"):
        return
    names = collection_names(bridge)
    into = next(iter(names), DEFAULT)
    if len(names) > 1:
        into = st.selectbox(
            "Into the collection",
            names,
            [*names].index(DEFAULT) if DEFAULT in names else 0,
            format_func=names.__getitem__,
            key="upload-into",
            help="Who reads the collection reads what you put in.",
        )
    files = st.file_uploader(
        "Drop PDF, DOCX, DOC, XLSX, PPTX, HTML, Markdown, CSV or text files here",
        accept_multiple_files=True,
        key=f"upload-{state.uploads}",
    )
    if files:
        uploads = [Upload(file.name, file.getvalue()) for file in files]
        with shown_errors():
            state.job_id = bridge.call(lambda engine: engine.ingestion.submit(uploads, collection_id=into)).id
            state.uploads += 1  # an empty uploader next time
            st.rerun()


def draw_progress(bridge: Bridge, state: TabState) -> None:
    """The upload in progress, or the last one of this tab until it is put away."""
    job = bridge.call(lambda engine: _current(engine, state.job_id))
    if job is None:
        return
    state.job_id = job.id
    if job.finished:
        _draw_finished(state, job)
    else:
        st.fragment(_follow, run_every=_POLL_SECONDS)(bridge, job.id)


async def _current(engine: Engine, job_id: UUID | None) -> Job | None:
    if job_id is not None:
        try:
            return await engine.ingestion.job(job_id)
        except NotFound:
            return None
    return next((job for job in await engine.ingestion.jobs() if not job.finished), None)


def _follow(bridge: Bridge, job_id: UUID) -> None:
    with shown_errors():
        job = bridge.call(lambda engine: engine.ingestion.job(job_id))
        if job.finished:
            st.rerun()
        ended = sum(file.stage in FINISHED for file in job.files)
        with st.container(key="upload-progress", border=True):
            st.progress(_share(job), f"{ended} of {counted(len(job.files), 'file')}")
            st.html(
                _table([file for file in job.files if file.stage not in FINISHED or file.stage == "failed"])
            )
            if st.button("Cancel", key="cancel-upload", type="tertiary", icon=":material/close:"):
                bridge.call(lambda engine: engine.ingestion.cancel(job_id))
                st.rerun()


def _draw_finished(state: TabState, job: Job) -> None:
    failed = [file for file in job.files if file.stage == "failed"]
    with st.container(key="upload-result", border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.html(f'<div role="status">{escape(_summary(job))}</div>', width="content")
            if st.button("Put away", key="put-away", type="tertiary", icon=":material/check:"):
                state.job_id = None
                st.rerun()
        if failed:
            st.html(_table(failed))


def _summary(job: Job) -> str:
    parts: list[str] = []
    for stage, words in (
        ("done", "added"),
        ("replaced", "replaced by a new version"),
        ("unchanged", "already here"),
        ("failed", "failed"),
        ("cancelled", "cancelled"),
    ):
        if count := sum(file.stage == stage for file in job.files):
            parts.append(f"{counted(count, 'file')} {words}" if not parts else f"{count:,} {words}")
    return ", ".join(parts) + "."


def _share(job: Job) -> float:
    return sum(_file_share(file) for file in job.files) / max(len(job.files), 1)


def _file_share(file: FileProgress) -> float:
    """Roughly how much of a file is behind us: embedding takes most of the time."""
    if file.stage in FINISHED:
        return 1.0
    within = file.done / file.total if file.total else 0.0
    return {"waiting": 0.0, "parsing": 0.05, "embedding": 0.1 + 0.8 * within, "storing": 0.9}.get(
        file.stage, 0.0
    )


def _table(files: list[FileProgress]) -> str:
    rows = "".join(_row(file) for file in files[:_LISTED])
    if len(files) > _LISTED:
        rows += f"<tr><td colspan='2'>… and {len(files) - _LISTED:,} more</td></tr>"
    return f'<table class="files">{rows}</table>' if rows else '<table class="files"></table>'


def _row(file: FileProgress) -> str:
    what = _STAGES[file.stage]
    if file.stage == "embedding" and file.total:
        what += f" {file.done:,} of {counted(file.total, 'passage')}"
    if file.message:
        what += f": {file.message.removeprefix(f'{file.file_name}: ')}"
    hint = f'<div class="place">{escape(file.hint)}</div>' if file.hint else ""
    return f'<tr class="{file.stage}"><td>{escape(file.file_name)}</td><td>{escape(what)}{hint}</td></tr>'
