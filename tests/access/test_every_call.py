"""Every call of the engine carries the principal: what nobody has signed for is refused, whatever it is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import pytest

from engine.access.principal import acting
from engine.documents.model import DocumentFilter
from engine.documents.queries import DocumentQuery
from engine.engine import Engine
from engine.errors import NotSignedIn

from .conftest import join
from .test_collections import OPEN_TEXT, put

pytestmark = pytest.mark.anyio

# What tells nothing of anybody or of any document, and what only counts and closes.
OPEN_CALLS = {
    "engine.embed_question",
    "ingestion.aclose",
    "ingestion.behind",
    "ingestion.snapshots",
    "sessions.purge",
}


def calls(engine: Engine) -> dict[str, Callable[..., Any]]:
    """All public methods of what pages and routes are given, by name."""
    parts = {
        "engine": engine,
        "documents": engine.documents,
        "ingestion": engine.ingestion,
        "sessions": engine.sessions,
        "operations": engine.operations,
        "traces": engine.traces,
        "accounts": engine.entrance.accounts,
        "keys": engine.entrance.keys,
        "collections": engine.entrance.collections,
        "audit": engine.entrance.audit,
    }
    return {
        f"{name}.{method}": getattr(part, method)
        for name, part in parts.items()
        for method in dir(type(part))
        if not method.startswith("_") and callable(getattr(type(part), method))
    }


async def test_nobody_is_refused_everything(guarded: Engine) -> None:
    editor = await join(guarded, "e-editor", "editor")
    document = await put(guarded, editor, "every.md", OPEN_TEXT + "\nOne more for every call.\n")
    with acting(editor):
        metadata = (await guarded.documents.get(document)).metadata
        passage = (await guarded.documents.passages(document))[0]
        session = await guarded.sessions.create("Every call")
        answer = await guarded.ask("What is refunded for meals?", session_id=session.id)
        turns = await guarded.sessions.turns(session.id)
        job = (await guarded.ingestion.jobs())[0]
    given = {
        "passage": passage,
        "passages": [passage],
        "given": [passage],
        "turns": turns,
        "answer": answer,
        "mode": "fast",
        "filter": DocumentFilter(),
        "metadata": metadata,
        "query": DocumentQuery(),
        "position": None,
        "session_id": session.id,
        "job_id": job.id,
        "role": "reader",
        "documents": [("a.md", "A", ())],
    }
    allowed = set()
    for name, call in calls(guarded).items():
        try:
            async with guarded.database.read() as db:
                told = call(**_arguments(call, {**given, "db": db}))
                if inspect.isasyncgen(told):
                    await anext(told)
                elif inspect.isawaitable(told):
                    await told
            allowed.add(name)
        except NotSignedIn:
            pass
    assert allowed == OPEN_CALLS


def _arguments(call: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """For what it insists on: something that is there where it matters, else anything of that kind."""
    needed = [p for p in inspect.signature(call).parameters.values() if p.default is p.empty]
    return {p.name: given[p.name] if p.name in given else _any(str(p.annotation)) for p in needed}


def _any(kind: str) -> Any:
    if "UUID" in kind:
        return uuid4()
    if "Sequence" in kind or "Iterable" in kind:
        return [1]
    return 1 if "int" in kind or "float" in kind else "something"
