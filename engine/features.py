"""What was asked for and what is really running."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature or setting. why: why `effective` differs from `asked`; empty if it does not."""

    name: str
    asked: str
    effective: str
    why: str = ""
