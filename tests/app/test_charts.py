"""Charts show text as text."""

from __future__ import annotations

from app.rerankers.charts import ranks_figure
from engine.evaluation.model import ArmResult

from ..answering.parts import source


def test_a_document_puts_no_markup_into_a_chart() -> None:
    hostile = '<a href="http://elsewhere.example">Click</a> & <b>more</b>'
    found = (source(hostile, title=hostile),)
    arms = [ArmResult(name, name, found, 1.0) for name in ("none", "built-in")]
    (line,) = ranks_figure(arms, ["none", "built-in"]).data
    for text in line.hovertext:
        assert "<a" not in text and "&lt;a" in text
