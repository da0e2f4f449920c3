"""What a reranker reads of a passage."""

from __future__ import annotations

from engine.documents.model import Passage
from engine.documents.preface import preface


def readable(passage: Passage, longest: int) -> str:
    """The passage with what it is about before it, cut to `longest` characters."""
    before = preface(passage.text, passage.heading, passage.context, passage.document_title)
    whole = f"{before}\n{passage.text}" if before else passage.text
    return whole if len(whole) <= longest else f"{whole[:longest]} …"
