"""What a process that will open an engine can begin before it has imported one.

The built-in model takes a second of one processor to load, outside of Python; importing takes as long
as that, inside of it.
"""

from __future__ import annotations

import contextlib

from pydantic import ValidationError

from engine.errors import DossierError
from engine.retrieval.embedders.e5 import NAME, begin_e5
from engine.settings import load_settings


def begin_loading() -> None:
    """Let the built-in embedder's model load, where it is the one that will be asked for.

    Whatever is wrong, with the settings or with the model, is told by `open_engine`.
    """
    with contextlib.suppress(DossierError, ValidationError):
        settings = load_settings()
        if settings.embedder == NAME:
            begin_e5(settings.dossier_home.expanduser() / "models", settings.model_threads)
