"""Dossier's engine: ask your documents, get answers with evidence.

async with open_engine() as engine:
    answer = await engine.ask("How long is a bid valid?")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.engine import Engine, open_engine
    from engine.errors import DossierError
    from engine.settings import Settings, load_settings

__all__ = ["DossierError", "Engine", "Settings", "load_settings", "open_engine"]

_HOMES = {
    "DossierError": "engine.errors",
    "Engine": "engine.engine",
    "Settings": "engine.settings",
    "load_settings": "engine.settings",
    "open_engine": "engine.engine",
}


def __getattr__(name: str) -> Any:
    """Import on first use: a parsing process must not pay for the whole engine."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
