"""A few short documents of our own, to try Dossier without any of yours."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import streamlit as st

from app.bridge import Bridge
from app.messages import shown_errors
from app.navigation import DOCUMENTS
from app.state import TabState
from engine import Engine
from engine.documents.jobs import Job, Upload

FOLDER = Path(__file__).resolve().parent.parent / "sample"


_EDITIONS = ("purchasing-policy-2022.md", "purchasing-policy-2025.md")
_marking: set[asyncio.Task[None]] = set()  # the loop itself keeps only weak references


def offer_sample(bridge: Bridge, state: TabState) -> None:
    """A button that takes the sample in, and leads to where its progress is shown."""
    if bridge.may("edit") and st.button("Try a sample corpus", key="sample", icon=":material/auto_stories:"):
        with shown_errors():
            state.job_id = bridge.call(ingest_sample).id
            st.switch_page(DOCUMENTS)


async def ingest_sample(engine: Engine) -> Job:
    """Start ingesting the sample; once it is there, its older edition is marked as superseded."""
    files = [Upload(path.name, path) for path in sorted(FOLDER.iterdir()) if path.is_file()]
    job = await engine.ingestion.submit(files)
    task = asyncio.create_task(_mark_editions(engine, job.id))
    _marking.add(task)
    task.add_done_callback(_marking.discard)
    return job


async def _mark_editions(engine: Engine, job_id: UUID) -> None:
    job = await engine.ingestion.wait(job_id)
    ids = {file.file_name: file.document_id for file in job.files}
    older, newer = (ids.get(name) for name in _EDITIONS)
    if older and newer:
        metadata = (await engine.documents.get(older)).metadata
        await engine.documents.update(older, replace(metadata, status="superseded", superseded_by=newer))
