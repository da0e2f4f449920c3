"""The charts of the operations page, as Plotly's figures: one function each, every axis with its unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.observability.metrics import DURATIONS, LAGS
from engine.observability.series import Recorded, name

Figure = dict[str, Any]
Values = Sequence[float | None]

HEIGHT = 270
# Readable on light and on dark, told apart by people who see few colours (Okabe and Ito 2008).
COLOURS = ("#0f8b8d", "#e69f00", "#56b4e9", "#cc79a7", "#8a9a5b", "#d55e00", "#7b6fb0", "#999999")
_GREY = "#999999"
_LIMIT = {"color": _GREY, "width": 1.5, "dash": "dash"}
_STAGES = ("understanding", "embedding", "search", "reranking", "reading", "writing")
_ANSWERS = {
    "generated": "written",
    "quotes": "quoted",
    "no_answer": "not in the documents",
    "stopped": "stopped",
    "failed": "failed",
}


def throughput(of: Recorded) -> Figure:
    """Questions a minute by what became of them."""
    by_kind: dict[str, list[Values]] = {}
    for series in of.names("dossier_questions_total"):
        by_kind.setdefault(_label(series, "kind"), []).append(of.rate(series))
    stacked = {_ANSWERS.get(kind, kind): _scaled(_sum(rates), 60) for kind, rates in by_kind.items()}
    return _areas(of, "Questions", "a minute", stacked)


def latency(of: Recorded) -> Figure:
    """How long answers took."""
    lines = {
        f"p{share:.0%}"[:-1]: _scaled(of.quantile("dossier_question_seconds", DURATIONS, share), 1000)
        for share in (0.5, 0.95, 0.99)
    }
    return _lines(of, "Time of an answer", "ms", lines, markers=True)


def stages(of: Recorded) -> Figure:
    """Where an answer's time went, on the mean."""
    questions = of.grown("dossier_question_seconds_count")
    parts = {
        _label(series, "stage"): [
            1000 * spent / count if spent is not None and count else None
            for spent, count in zip(of.grown(series), questions, strict=True)
        ]
        for series in sorted(of.names("dossier_stage_seconds_sum"), key=_when)
    }
    return _bars(of, "Mean time of an answer by stage", "ms", parts)


def errors(of: Recorded) -> Figure:
    """Failed questions by the kind of error."""
    kinds = {_label(series, "kind"): of.grown(series) for series in of.names("dossier_errors_total")}
    return _bars(of, "Failed questions by error", "in each step", kinds)


def hit_rates(of: Recorded) -> Figure:
    """Of what a cache layer is asked for, how much it has."""
    lines: dict[str, Values] = {}
    for layer in ("L1", "L2", "L3"):
        hits, misses = (
            of.grown(name("dossier_cache_requests_total", layer=layer, result=result))
            for result in ("hit", "miss")
        )
        rates = [
            100 * h / (h + m) if h is not None and m is not None and h + m else None
            for h, m in zip(hits, misses, strict=True)
        ]
        if any(rate is not None for rate in rates):
            lines[layer] = rates
    return _lines(of, "Hit rate by cache layer", "%", lines, markers=True, top=100)


def pool(of: Recorded) -> Figure:
    """Database connections at their peak, against how many there may be."""
    family = "dossier_pool_connections"
    lines = {
        "in use": of.level(name(family, state="in_use"), highest=True),
        "waiting for one": of.level(name(family, state="waiting"), highest=True),
    }
    return _lines(
        of, "Database pool, peaks", "connections", lines, limit=of.level(name(family, state="limit"))
    )


def pgbouncer(of: Recorded) -> Figure:
    """What pgBouncer says of its clients and servers."""

    def seen(family: str, state: str) -> Values:
        return of.level(name(f"dossier_pgbouncer_{family}", state=state), highest=True, shared=True)

    lines = {
        "clients with a server": seen("clients", "active"),
        "clients waiting": seen("clients", "waiting"),
        "servers idle": seen("servers", "idle"),
    }
    return _lines(of, "pgBouncer, peaks", "connections", lines)


def memory(of: Recorded) -> Figure:
    """Of each process, and of Redis where it is in use."""
    held = {
        process: of.of(process).level("process_resident_memory_bytes", highest=True)
        for process in of.processes
    }
    recent = sorted(held, key=lambda process: _last(held[process]), reverse=True)
    lines = {_short(process): _scaled(held[process], 1e-6) for process in recent[:6]}
    redis = of.level("dossier_redis_memory_bytes{kind=used}", highest=True, shared=True)
    if any(redis):
        lines["Redis"] = _scaled(redis, 1e-6)
    return _lines(of, "Memory", "MB", lines)


def processors(of: Recorded) -> Figure:
    """How busy the machine and the event loops are."""
    cores = _last(of.level("dossier_machine_cores", shared=True)) or 1
    machine = of.grown("dossier_machine_cpu_seconds_total", shared=True)
    own = of.grown("process_cpu_seconds_total")
    loops = of.grown("dossier_event_loop_busy_seconds_total")
    count = [
        sum(1 for steps in of.processes.values() if steps[place] is not None)
        for place in range(len(of.times))
    ]
    lines = {
        f"machine ({cores:.0f} cores)": _share(machine, [s * cores for s in of.seconds]),
        "of that Dossier": _share(own, [s * cores for s in of.seconds]),
        "event loop": _share(loops, [s * (n or 1) for s, n in zip(of.seconds, count, strict=True)]),
    }
    return _lines(of, "Processors", "% busy", lines, top=100)


def event_loop(of: Recorded) -> Figure:
    """By how much the event loop's timers are late."""
    lines = {
        f"p{share:.0%}"[:-1]: _scaled(of.quantile("dossier_event_loop_lag_seconds", LAGS, share), 1000)
        for share in (0.5, 0.99)
    }
    return _lines(of, "Lag of the event loop", "ms", lines)


def reranker(of: Recorded) -> Figure:
    """How many passages go to a reranker at once, and how many wait."""
    family = "dossier_reranker_batch_passages"
    lines: dict[str, Values] = {}
    for series in of.names(f"{family}_count"):
        who = _label(series, "reranker")
        counts, sums = of.grown(series), of.grown(name(f"{family}_sum", reranker=who))
        lines[f"{who}, mean batch"] = [
            total / count if total is not None and count else None
            for total, count in zip(sums, counts, strict=True)
        ]
    waiting = [of.level(series, highest=True) for series in of.names("dossier_reranker_waiting")]
    if waiting:
        lines["waiting, peak"] = _sum(waiting)
    return _lines(of, "Reranker", "passages", lines, markers=True)


def ingestion(of: Recorded) -> Figure:
    """Files on their way in, by stage."""
    files = {
        _label(series, "stage"): of.level(series, highest=True)
        for series in of.names("dossier_ingestion_files")
    }
    return _areas(of, "Ingestion, peaks", "files under way", files)


Chart = Callable[[Recorded], Figure]
CHARTS: dict[str, Chart] = {
    "throughput": throughput,
    "latency": latency,
    "stages": stages,
    "errors": errors,
    "hit-rates": hit_rates,
    "pool": pool,
    "pgbouncer": pgbouncer,
    "processors": processors,
    "event-loop": event_loop,
    "memory": memory,
    "reranker": reranker,
    "ingestion": ingestion,
}


def chosen(of: Recorded) -> dict[str, Chart]:
    """The charts that there is something to show for: pgBouncer's only where it is in use."""
    without = () if of.names("dossier_pgbouncer_up") else ("pgbouncer",)
    return {key: chart for key, chart in CHARTS.items() if key not in without}


def _lines(
    of: Recorded,
    title: str,
    unit: str,
    lines: Mapping[str, Values],
    *,
    limit: Values | None = None,
    top: float | None = None,
    markers: bool = False,
) -> Figure:
    traces = [
        _trace(label, values, colour, mode="lines+markers" if markers else "lines", marker={"size": 4})
        for (label, values), colour in zip(lines.items(), COLOURS, strict=False)
    ]
    if limit is not None:
        traces.append(_trace("limit", limit, _GREY, mode="lines", line=_LIMIT))
    return _figure(of, title, unit, traces, top)


def _areas(of: Recorded, title: str, unit: str, areas: Mapping[str, Values]) -> Figure:
    traces = [
        _trace(label, values, colour, mode="lines", stackgroup="all")
        for (label, values), colour in zip(_some(areas).items(), COLOURS, strict=False)
    ]
    return _figure(of, title, unit, traces)


def _bars(of: Recorded, title: str, unit: str, bars: Mapping[str, Values]) -> Figure:
    traces = [
        {"type": "bar", "name": label, "y": values, "marker": {"color": colour}}
        for (label, values), colour in zip(_some(bars).items(), COLOURS * 2, strict=False)
    ]
    figure = _figure(of, title, unit, traces)
    figure["layout"] |= {"barmode": "stack", "bargap": 0.15}
    return figure


def _trace(label: str, values: Values, colour: str, **more: Any) -> dict[str, Any]:
    line = {"color": colour, "width": 2}
    return {"type": "scatter", "name": label, "y": values, "line": line, **more}


def _figure(
    of: Recorded, title: str, unit: str, traces: list[dict[str, Any]], top: float | None = None
) -> Figure:
    if not traces:  # which Plotly refuses
        traces = [_trace("none in this time", [None] * len(of.times), _GREY)]
    when = [began.isoformat() for began in of.times]  # once: Plotly is slow with datetimes
    traces = [trace | {"x": when} for trace in traces]
    shown = [value for trace in traces for value in trace["y"] if value is not None]
    highest = top or (None if any(shown) else 1)
    layout: dict[str, Any] = {
        "title": {"text": f"{title} <span style='font-size:0.8em;font-weight:400'>({unit})</span>"},
        "height": HEIGHT,
        "margin": {"l": 8, "r": 8, "t": 40, "b": 8},
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": -0.16, "yanchor": "top"},
        "hovermode": "x unified",
        "uirevision": title,  # a zoom outlives the next refresh
        "xaxis": {"type": "date", "range": [when[0], of.until().isoformat()]},
        "yaxis": {"range": [0, highest * 1.05] if highest else None, "rangemode": "tozero", "nticks": 6},
    }
    return {"data": traces, "layout": layout}


def _some(series: Mapping[str, Values]) -> dict[str, Values]:
    """Those in which anything happened."""
    return {label: values for label, values in series.items() if any(values)}


def _when(series: str) -> int:
    stage = _label(series, "stage")
    return _STAGES.index(stage) if stage in _STAGES else len(_STAGES)


def _label(series: str, label: str) -> str:
    return series.split(f"{label}=", 1)[1].split(",")[0].rstrip("}")


def _short(process: str) -> str:
    host, _, number = process.rpartition(":")
    return f"{host[:12]}:{number}"


def _sum(many: Sequence[Values]) -> Values:
    columns = ([value for value in column if value is not None] for column in zip(*many, strict=True))
    return [sum(column) if column else None for column in columns]


def _scaled(values: Values, factor: float) -> Values:
    return [None if value is None else round(value * factor, 3) for value in values]


def _share(values: Values, of: Sequence[float]) -> Values:
    return [
        None if value is None else round(min(100.0, 100 * value / whole), 2)
        for value, whole in zip(values, of, strict=True)
    ]


def _last(values: Values) -> float:
    return next((value for value in reversed(values) if value is not None), 0.0)
