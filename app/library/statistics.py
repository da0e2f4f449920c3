"""The corpus in a line."""

from __future__ import annotations

from app.filters import language_name
from app.text import counted, escape, size
from engine.documents.queries import Statistics


def statistics_html(counts: Statistics) -> str:
    """How much there is, of which types, languages and states."""
    if not counts.documents:
        return ""
    facts = [
        counted(counts.documents, "document"),
        counted(counts.passages, "passage"),
        size(counts.bytes),
        _shares({type.upper(): number for type, number in counts.by_type.items()}),
        _shares({language_name(code): number for code, number in counts.by_language.items()}),
        _shares(counts.by_status),
    ]
    return f'<div class="place">{escape(" · ".join(fact for fact in facts if fact))}</div>'


def _shares(groups: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in [*groups.items()][:4])
