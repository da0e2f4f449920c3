"""How errors are told on a page: what happened and what to do, never a traceback."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from app.text import plain
from engine.errors import DossierError

log = logging.getLogger(__name__)


def show_error(error: DossierError) -> None:
    """An error that the engine raised on purpose."""
    st.error(plain(error.message) + (f"  \n{plain(error.hint)}" if error.hint else ""))


@contextmanager
def shown_errors() -> Iterator[None]:
    """Show the engine's errors in place; the rest of the page stays usable."""
    try:
        yield
    except DossierError as error:
        log.info("shown to the user: %s", error)
        show_error(error)
