"""The page's charts, with plotly; they take their colours for text and lines from the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from app.text import escape, short
from engine.evaluation.model import ArmFigures, ArmResult, RiskPoint

COLOURS = ("#1f8a95", "#c77700", "#7a6bd6", "#2e8b57", "#c0504d", "#3f7fbf", "#9a7b3c", "#b25aa0")
SHOWN = 10
_UNMOVED = "#8b9598"


def ranks_figure(arms: Sequence[ArmResult], names: Sequence[str]) -> go.Figure:
    """The first ten of every list, each passage a line from its place in one to that in the next."""
    places = [{c.passage.id: place for place, c in enumerate(arm.candidates, start=1)} for arm in arms]
    first = {c.passage.id: c.passage for arm in reversed(arms) for c in arm.candidates[:SHOWN]}
    figure = go.Figure()
    for number, (passage_id, passage) in enumerate(
        sorted(first.items(), key=lambda item: places[0].get(item[0], 999))
    ):
        found = [place.get(passage_id) for place in places]
        ranks = [rank or SHOWN + 1 for rank in found]
        moved = max(ranks) - min(ranks)
        figure.add_scatter(
            x=list(range(len(arms))),
            y=[min(rank, SHOWN + 1) for rank in ranks],
            mode="lines+markers+text",
            text=[str(rank) if rank <= SHOWN else "" for rank in ranks],
            textfont={"color": "white", "size": 11},
            marker={"size": [22 if rank <= SHOWN else 7 for rank in ranks], "opacity": 1.0},
            line={
                "color": COLOURS[number % len(COLOURS)] if moved else _UNMOVED,
                "width": 2.5 if moved else 1.5,
                "shape": "spline",
            },
            hovertext=[
                f"<b>{escape(short(passage.document_title, 60))}</b><br>{_wrapped(passage.text)}<br>"
                f"{name}: {f'place {rank}' if rank else 'not in this list'}"
                for name, rank in zip(names, found, strict=True)
            ],
            hoverinfo="text",
            showlegend=False,
        )
    figure.update_xaxes(
        tickvals=list(range(len(arms))),
        ticktext=[f"<b>{name}</b>" for name in names],
        side="top",
        range=[-0.25, len(arms) - 0.75],
        showgrid=False,
        zeroline=False,
        fixedrange=True,
        tickfont={"size": 14},
    )
    figure.update_yaxes(
        range=[SHOWN + 1.6, 0.4],
        tickvals=[1, 5, SHOWN, SHOWN + 1],
        ticktext=["1st", "5th", f"{SHOWN}th", "lower"],
        fixedrange=True,
        zeroline=False,
        gridcolor="rgba(128,128,128,0.15)",
    )
    figure.update_layout(height=430, margin={"l": 10, "r": 10, "t": 40, "b": 10}, hovermode="closest")
    return figure


def quality_figure(arms: Sequence[ArmFigures], names: Sequence[str]) -> go.Figure:
    """Quality over latency, with intervals; the larger a point, the dearer."""
    figure = go.Figure()
    dearest = max((arm.cost_usd or 0.0 for arm in arms), default=0.0)
    for number, (arm, name) in enumerate(zip(arms, names, strict=True)):
        if arm.ndcg is None:
            continue
        cost = arm.cost_usd or 0.0
        price = "no price known" if arm.cost_usd is None else f"{cost * 1000:.3g} US$ per 1,000 questions"
        figure.add_scatter(
            x=[max(arm.p50_ms, 0.1)],
            y=[arm.ndcg.mean],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [arm.ndcg.high - arm.ndcg.mean],
                "arrayminus": [arm.ndcg.mean - arm.ndcg.low],
                "thickness": 1.5,
                "width": 5,
            },
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [max(0.0, arm.p95_ms - max(arm.p50_ms, 0.1))],
                "arrayminus": [0],
                "thickness": 1,
                "width": 4,
            },
            mode="markers+text",
            text=[f" {name}"],
            textposition="top right",
            marker={
                "size": 14 + (26 * cost / dearest if dearest else 0),
                "color": COLOURS[number % len(COLOURS)],
                "opacity": 0.85,
            },
            hovertemplate=f"<b>{name}</b><br>nDCG@10 %{{y:.3f}} ({arm.ndcg.low:.3f} to {arm.ndcg.high:.3f})"
            f"<br>{arm.p50_ms:.1f} ms at the median, {arm.p95_ms:.1f} ms p95<br>{price}<extra></extra>",
            showlegend=False,
        )
    slowest = max((max(arm.p95_ms, 0.1) for arm in arms), default=1.0)
    figure.update_xaxes(
        title="ms a question: median, to p95",
        type="log",
        dtick=1,
        range=[
            math.log10(min((max(arm.p50_ms, 0.1) for arm in arms), default=0.1)) - 0.2,
            math.log10(slowest) + 0.6,
        ],
    )
    known = [arm.ndcg for arm in arms if arm.ndcg is not None]
    lowest = min((estimate.low for estimate in known), default=0.0)
    highest = max((estimate.high for estimate in known), default=1.0)
    room = max(0.02, (highest - lowest) * 0.15)
    figure.update_yaxes(
        title="nDCG@10, 95 % interval", range=[max(0.0, lowest - room), min(1.01, highest + room)]
    )
    figure.update_layout(height=400, margin={"l": 10, "r": 10, "t": 20, "b": 10})
    return figure


def risk_figure(curves: Mapping[str, Sequence[RiskPoint]], chosen: float | None) -> go.Figure:
    """Risk over coverage, a line a reranker; `chosen` marks that threshold on each."""
    figure = go.Figure()
    for number, (name, points) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        figure.add_scatter(
            x=[point.coverage for point in points],
            y=[point.risk for point in points],
            customdata=[point.threshold for point in points],
            mode="lines",
            name=name,
            line={"color": colour, "width": 2.5, "shape": "hv"},
            hovertemplate=f"<b>{name}</b><br>threshold %{{customdata:.3f}}<br>answers %{{x:.1%}} of questions"
            "<br>%{y:.1%} of those have no answer<extra></extra>",
        )
        if chosen is not None and (at := at_threshold(points, chosen)) is not None:
            figure.add_scatter(
                x=[at.coverage],
                y=[at.risk],
                mode="markers",
                marker={"size": 13, "color": colour, "line": {"width": 2, "color": "white"}},
                showlegend=False,
                hoverinfo="skip",
            )
    figure.update_xaxes(title="Coverage: questions that get an answer", tickformat=".0%", range=[0, 1.02])
    figure.update_yaxes(
        title="Risk: answered although nothing answers them", tickformat=".0%", rangemode="tozero"
    )
    figure.update_layout(
        height=380,
        margin={"l": 10, "r": 10, "t": 20, "b": 10},
        legend={"orientation": "h", "y": 1.08, "x": 0},
    )
    return figure


def at_threshold(points: Sequence[RiskPoint], threshold: float) -> RiskPoint | None:
    """What answering from this threshold on gives; None where it answers nothing."""
    answering = [point for point in points if point.threshold >= threshold]
    return answering[-1] if answering else None


def _wrapped(text: str, width: int = 70, lines: int = 3) -> str:
    words, wrapped = text.split(), [""]
    for word in words:
        if len(wrapped[-1]) + len(word) > width:
            if len(wrapped) == lines:
                wrapped[-1] += "…"
                break
            wrapped.append("")
        wrapped[-1] += f"{word} "
    return "<br>".join(map(escape, wrapped))
