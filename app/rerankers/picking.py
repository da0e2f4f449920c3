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
    contenders = _contenders(bridge)
    return st.pills(
        "Rerankers",
        list(contenders),
        selection_mode="multi",
        default=[name for name in given if name in contenders],
        format_func=lambda name: _label(contenders[name]),
        key=key,
        help="  \n".join(f"{plain(c.name)}: {plain(c.why)}" for c in contenders.values() if c.why) or None,
    )


def unable(bridge: Bridge, names: Sequence[str]) -> list[str]:
    """Those of these that cannot serve now."""
    contenders = _contenders(bridge)
    return [name for name in names if name not in contenders or contenders[name].status == "failed"]


def _contenders(bridge: Bridge) -> dict[str, Contender]:
    async def ask(engine: Engine) -> list[Contender]:
        return engine.comparison.contenders()

    return {contender.name: contender for contender in bridge.call(ask)}


def _label(contender: Contender) -> str:
    waiting = _WAITING.get(contender.status)
    return f"{contender.name} ({waiting})" if waiting else contender.name
