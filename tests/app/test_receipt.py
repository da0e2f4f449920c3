"""What an answer's receipt shows of tokens and cost."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from app.chat.receipt import receipt_html
from engine.answering.model import Answer, Receipt
from engine.chat.model import Turn
from engine.documents.model import DocumentFilter


def _shown(receipt: Receipt) -> str:
    answer = Answer("Why?", "Why?", "So.", "generated", (), (), 0.5, receipt)
    turn = Turn(1, uuid4(), 0, answer, "fast", DocumentFilter(), datetime.now(UTC))
    return receipt_html(turn)


@pytest.mark.parametrize(
    ("cost", "shown"), [(0.00045, "$0.00045"), (1.25, "$1.25"), (2.0, "$2"), (None, "price not known")]
)
def test_tokens_come_with_what_they_cost(cost: float | None, shown: str) -> None:
    html = _shown(Receipt(prompt_tokens=1_200, completion_tokens=40, cost_usd=cost))
    assert "1,200 in, 40 out" in html
    assert f"<td>{shown}</td>" in html


def test_without_a_language_model_no_cost_is_shown() -> None:
    without = _shown(replace(Receipt(), cost_usd=0.0))
    assert "Tokens" not in without
    assert "Cost" not in without
