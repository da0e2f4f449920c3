"""How an answer came about, for those who ask."""

from __future__ import annotations

from app.text import escape
from engine.chat.model import Turn

_ROLES = {
    "embedder": "Embedder",
    "reranker": "Reranker",
    "answerer": "Answered by",
    "language_model": "Language model",
}


def receipt_html(turn: Turn) -> str:
    """Stages, sources, models and settings of one answer."""
    answer, receipt = turn.answer, turn.answer.receipt
    stages = [(stage.name.capitalize(), f"{stage.milliseconds:,.1f} ms") for stage in receipt.stages]
    counts = [
        ("Waited for the database", f"{receipt.pool_wait_ms:,.1f} ms"),
        *((f"Cache: {what}", layer) for what, layer in receipt.cache.items()),
        ("Candidates", f"{receipt.candidates_before:,} found, {receipt.candidates_after:,} given"),
        ("Confidence", f"{answer.confidence:.0%}"),
    ]
    if receipt.prompt_tokens or receipt.completion_tokens:
        counts.append(("Tokens", f"{receipt.prompt_tokens:,} in, {receipt.completion_tokens:,} out"))
        counts.append(("Cost", _dollars(receipt.cost_usd)))
    if answer.removed_citations:
        counts.append(("Citations taken out", str(answer.removed_citations)))
    models = [(_ROLES.get(role, role), name) for role, name in receipt.models.items()]
    settings = [(name, str(value)) for name, value in receipt.settings.items()]
    searched = [(str(n), phrasing) for n, phrasing in enumerate(receipt.phrasings, start=1)]
    return (
        '<div class="receipt">'
        + _table("Time", [*stages, ("Total", f"{receipt.total_ms:,.1f} ms")])
        + _table("Work", counts)
        + _table("Searched for", searched)
        + _table("Models", models)
        + _table("Settings", settings)
        + f'<div class="place">{turn.created_at:%Y-%m-%d %H:%M} UTC</div></div>'
    )


def _dollars(cost: float | None) -> str:
    return "price not known" if cost is None else "$" + f"{cost:,.6f}".rstrip("0").rstrip(".")


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    if not rows:
        return ""
    body = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows
    )
    return f"<table><caption>{title}</caption>{body}</table>"
