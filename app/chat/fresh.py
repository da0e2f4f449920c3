"""A turn that was just answered, as HTML, drawn by the page's script without a run of the page.

It looks as `draw_turn` draws it. What can be done with it is done by Streamlit's own widgets: every
button names the one that it stands for, which is there once the page has run again.
"""

from __future__ import annotations

from app.chat.evidence import evidence_html, has_page
from app.chat.markup import answer_html
from app.chat.turns import hints_html, question_html, source_name, source_numbers
from app.text import escape
from engine.chat.model import Turn


def fresh_turn_html(turn: Turn) -> str:
    """The question, the answer, its sources, what can be done with it; and beside it the first source."""
    answer, numbers = turn.answer, source_numbers(turn.answer)
    body = answer_html(answer.text, answer.kind, turn=turn.id, unsupported=answer.unsupported)
    talk = question_html(answer.question) + body + hints_html(answer) + _sources(turn, numbers)
    beside = _evidence(turn, numbers[0]) if numbers else ""
    return f'<div class="talk">{talk}{_actions(turn)}</div><div class="beside">{beside}</div>'


def _sources(turn: Turn, numbers: list[int]) -> str:
    if not numbers:
        return ""
    label = '<div class="place">Nearest passages</div>' if turn.answer.kind == "no_answer" else ""
    pills = "".join(
        _button(
            f"source-{turn.id}", f"<b>{number}</b> {escape(source_name(turn.answer, number))}", nth, "pill"
        )
        for nth, number in enumerate(numbers)
    )
    return f'{label}<div class="sources" role="group" aria-label="Sources">{pills}</div>'


def _actions(turn: Turn) -> str:
    return (
        '<div class="actions">'
        + _button(f"vote-{turn.id}", _icon("thumb_up", "Good answer"), 0)
        + _button(f"vote-{turn.id}", _icon("thumb_down", "Bad answer"), 1)
        + _button(f"receipt-{turn.id}", "Receipt" + _icon("expand_more"))
        + _button(f"again-{turn.id}", _icon("refresh") + "Regenerate")
        + _button(f"edit-{turn.id}", _icon("edit") + "Edit question")
        + "</div>"
    )


def _evidence(turn: Turn, number: int) -> str:
    passage = turn.answer.sources[number - 1].passage
    page = ""
    if has_page(passage):
        label = _icon("plagiarism") + f"Show page {passage.page}"
        page = _button(f"page-{turn.id}-{number}", label, look="framed")
    document = _button(f"evidence-{turn.id}", _icon("description") + "Open the document", within="a")
    return f'<div class="evidence">{evidence_html(turn.answer, number)}{page}{document}</div>'


def _button(key: str, label: str, nth: int = 0, look: str = "", within: str = "button") -> str:
    """Stands for the nth button, or link, of the Streamlit element of that key."""
    wanted = f'data-key="{key}" data-within="{within}" data-nth="{nth}"'
    return f'<button type="button" class="use {look}" {wanted}>{label}</button>'


def _icon(name: str, label: str = "") -> str:
    told = f'role="img" aria-label="{label}"' if label else 'aria-hidden="true"'
    return f'<span class="icon" {told}>{name}</span>'
