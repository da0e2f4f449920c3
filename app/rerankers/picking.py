"""Choosing rerankers: all that there are, with whether they can serve."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.bridge import Bridge
from app.text import plain
from engine import Engine
from engine.evaluation.model import Contender

_WAITING = {"idle": "loads when first used", "loading": "loading", "failed": "cannot serve now"}


def pick_rerankers(bridge: Bridge, given: Sequence[str], key: str) -> list[str]:
    """The names chosen; at first those given, as far as they exist."""

    async def ask(engine: Engine) -> list[Contender]:
        return engine.comparison.contenders()

    contenders = {contender.name: contender for contender in bridge.call(ask)}
    return st.multiselect(
        "Rerankers",
        list(contenders),
        [name for name in given if name in contenders],
        format_func=lambda name: _label(contenders[name]),
        key=key,
        placeholder="Choose two or more",
        help="  \n".join(f"{plain(c.name)}: {plain(c.why)}" for c in contenders.values() if c.why) or None,
        select_all=False,
    )


def _label(contender: Contender) -> str:
    waiting = _WAITING.get(contender.status)
    return f"{contender.name} ({waiting})" if waiting else contender.name
