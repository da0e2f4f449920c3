"""Sessions and their turns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from engine.answering.model import Answer, Mode
from engine.documents.model import DocumentFilter

Vote = Literal["up", "down"]


@dataclass(frozen=True, slots=True)
class Session:
    """A conversation. turn_count: turns that are shown. title: the first question, until renamed.

    shared: whether there is a link by which others read it.
    """

    id: UUID
    title: str
    turn_count: int
    created_at: datetime
    updated_at: datetime
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """One question and its answer, with all that is needed to explain it later.

    position: from 0, without gaps among the turns shown.
    filter: the scope in which it was asked. vote, reason: the reader's verdict, if given.
    """

    id: int
    session_id: UUID
    position: int
    answer: Answer
    mode: Mode
    filter: DocumentFilter
    created_at: datetime
    vote: Vote | None = None
    reason: str = ""
