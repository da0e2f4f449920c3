"""Who looks at a page, by what their browser brings: a sign-in's cookie, or a provider's word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import streamlit as st

COOKIE = "dossier-sign-in"


@dataclass(frozen=True, slots=True)
class Visitor:
    """token: of a sign-in with a password. subject, name: as an identity provider tells them."""

    token: str = ""
    subject: str = ""
    name: str = ""


def visitor() -> Visitor:
    """Whoever the present run of a page is for; call it in the page's thread."""
    if token := st.context.cookies.get(COOKIE, ""):
        return Visitor(token=token)
    user = cast(Mapping[str, Any], st.user)
    if not user.get("is_logged_in", False):
        return Visitor()
    name = user.get("preferred_username") or user.get("email") or user.get("name") or ""
    return Visitor(subject=f"{user.get('iss', '')}|{user.get('sub', '')}", name=str(name))


def provider_is_set_up() -> bool:
    """Whether `.streamlit/secrets.toml` names an identity provider for `st.login`."""
    try:
        return "auth" in st.secrets
    except FileNotFoundError:
        return False
