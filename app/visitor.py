"""Who looks at a page, by what their browser brings: a sign-in's cookie."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

COOKIE = "dossier-sign-in"


@dataclass(frozen=True, slots=True)
class Visitor:
    """token: of a sign-in; empty for whoever brings none."""

    token: str = ""


def visitor() -> Visitor:
    """Whoever the present run of a page is for; call it in the page's thread."""
    return Visitor(st.context.cookies.get(COOKIE, ""))
