"""Whether old answers still stand on what their documents say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.chat.model import Turn
from engine.documents.queries import Change
from engine.documents.store import DocumentStore


@dataclass(frozen=True, slots=True)
class ChangedSource:
    """A cited document that no longer holds a cited passage. title: as it was when cited."""

    document_id: int
    title: str
    change: Change


async def changed_sources(
    documents: DocumentStore, turns: Sequence[Turn]
) -> dict[int, tuple[ChangedSource, ...]]:
    """By turn id, what has become of the passages it cites; turns that still stand are left out.

    One query for all of them. Raises DatabaseUnavailable.
    """
    cited = {turn.id: [citation.passage for citation in turn.answer.citations] for turn in turns}
    changes = await documents.changed_passages(passage for given in cited.values() for passage in given)
    found = {
        turn_id: tuple(
            dict.fromkeys(
                ChangedSource(p.document_id, p.document_title, changes[p.id])
                for p in given
                if p.id in changes
            )
        )
        for turn_id, given in cited.items()
    }
    return {turn_id: changed for turn_id, changed in found.items() if changed}
