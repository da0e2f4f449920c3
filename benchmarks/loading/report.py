"""The figures as Markdown tables and charts, and their place in docs/performance.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

from benchmarks.tables import ROOT

DOCS = ROOT / "docs"
BEGIN, END = "<!-- load test: begin -->", "<!-- load test: end -->"
PROTOTYPE_P50_MS = 15_200  # of the prototype at 10 users; 77 % of its questions were answered

_COLUMNS: tuple[tuple[str, Callable[[dict[str, Any]], str]], ...] = (
    ("success", lambda f: f"{f['success']:.2%}"),
    ("p50 ms", lambda f: f"{f['p50']:,.0f}"),
    ("p95 ms", lambda f: f"{f['p95']:,.0f}"),
    ("p99 ms", lambda f: f"{f['p99']:,.0f}"),
    ("questions/s", lambda f: f"{f['questions a second']:,.0f}"),
    ("app ms CPU each", lambda f: f"{f['app ms a question']:.1f}"),
    ("cores: app + PostgreSQL + users", lambda f: " + ".join(_cores(f))),
    ("app MB", lambda f: f"{f['resident MB']:,}"),
    ("retrieval from L1 / L3", lambda f: _shares(f["found in"])),
    ("loop lag p99 ms", lambda f: f"{f['loop lag p99 ms']:.0f}"),
    ("/health p99 ms", lambda f: f"{f['health p99 ms']:.0f}"),
    ("/metrics p99 ms", lambda f: f"{f['metrics p99 ms']:.0f}"),
)


def tables(figures: dict[str, Any]) -> str:
    """All parts that were measured, as Markdown."""
    parts = [_told(figures)] if "machine" in figures else []
    if found := figures.get("levels"):
        parts += ["### Users over REST", _table("users", found), _compared(found), _image("levels")]
    if found := figures.get("processes"):
        parts += ["### Users over REST, two processes behind nginx", _table("users", found)]
    if found := figures.get("browser"):
        parts += ["### Sessions in the browser", _table("sessions", found)]
    if found := figures.get("variants"):
        parts += [f"### {next(iter(found.values()))['users']} users, otherwise", _table("", found)]
    if found := figures.get("ingest"):
        parts += ["### While files are taken in", _ingested(found)]
    if found := figures.get("soak"):
        parts += ["### A long time", _soaked(found), _image("soak")]
    return "\n\n".join(parts) + "\n"


def write_docs(figures: dict[str, Any]) -> None:
    """Put tables and charts into docs/performance.md."""
    if "levels" in figures:
        _chart_levels(figures["levels"], figures.get("browser", {}))
    if "soak" in figures:
        _chart_soak(figures["soak"]["memory"])
    page = DOCS / "performance.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{tables(figures)}\n{END}{after}")


def _told(figures: dict[str, Any]) -> str:
    machine, corpus = figures["machine"], figures["corpus"]
    return (
        f"{machine['cores']} cores, which users, PostgreSQL and the app share, {machine['memory_gb']} GB;"
        f" {machine['system']}. {corpus['documents']:,} documents, {corpus['passages']:,} passages;"
        f" {corpus['questions_vi']:,} questions in Vietnamese and {corpus['questions_en']:,} in English, the"
        " r-th most frequent in proportion to 1/r. Each table begins with an empty cache, and so does every"
        " row of the variants; the levels follow each other on one server."
    )


def _table(first: str, found: dict[str, dict[str, Any]]) -> str:
    return _markdown(
        [first, *(name for name, _ in _COLUMNS)],
        [[name, *(show(own) for _, show in _COLUMNS)] for name, own in found.items()],
    )


def _compared(levels: dict[str, dict[str, Any]]) -> str:
    ours = levels.get("10")
    if ours is None:
        return ""
    return (
        f"The prototype answered 77 % of the same scenario at 10 users, with a median of 15.2 s:"
        f" {PROTOTYPE_P50_MS / ours['p50']:,.0f} times as long."
    )


def _ingested(found: dict[str, Any]) -> str:
    rows = [
        [
            "files a minute",
            *(f"{found[f'files a minute, {who}']:.0f}" for who in ("nobody asking", "users asking")),
        ],
        [
            "loop lag p99, ms",
            f"{found['loop lag p99 ms, nobody asking']:.1f}",
            f"{found['loop lag p99 ms']:.1f}",
        ],
        ["/health p99, ms", f"{found['health p99 ms, nobody asking']:.1f}", f"{found['health p99 ms']:.1f}"],
        ["questions answered", "", f"{found['success']:.2%} of {found['questions']:,}"],
        ["questions, p50 / p95 ms", "", f"{found['p50']:,.0f} / {found['p95']:,.0f}"],
        ["app MB", "", f"{found['resident MB']:,}"],
    ]
    told = f"{found['files']} files made of the shared collections, uploaded at once; half while users ask."
    return told + "\n\n" + _markdown(["", "nobody asking", f"{found['users']} users asking"], rows)


def _soaked(found: dict[str, Any]) -> str:
    left = _markdown(
        ["held by the app, nobody asking", "before", "after"],
        [[what, f"{before:,}", f"{after:,}"] for what, (before, after) in found["left behind"].items()],
    )
    grown = f"{found['growth after warm-up']:.1%}"
    return (
        f"{_table('users', {str(found['users']): found})}\n\n"
        f"Memory grew by {grown} after warm-up, over {found['questions']:,} questions.\n\n{left}"
    )


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cores(figures: dict[str, Any]) -> list[str]:
    return [f"{figures['cores'].get(name, 0):.2f}" for name in ("app", "postgres", "users")]


def _shares(rates: dict[str, float]) -> str:
    return " / ".join(f"{rates[layer]:.0%}" if layer in rates else "–" for layer in ("L1", "L3"))


def _image(name: str) -> str:
    titles = {"levels": "Latency and throughput by number of users", "soak": "Memory over time"}
    return f"![{titles[name]}](load-{name}.svg)"


def _chart_levels(levels: dict[str, dict[str, Any]], browser: dict[str, dict[str, Any]]) -> None:
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    users = [own["users"] for own in levels.values()]
    for name in ("p50", "p95", "p99"):
        left.plot(users, [own[name] for own in levels.values()], marker="o", label=f"REST, {name}")
    if browser:
        sessions = [own["users"] for own in browser.values()]
        left.plot(
            sessions, [own["p95"] for own in browser.values()], marker="s", ls="--", label="browser, p95"
        )
    left.set(xscale="log", yscale="log", xlabel="users", ylabel="milliseconds to the whole answer")
    right.plot(users, [own["questions a second"] for own in levels.values()], marker="o")
    right.set(xscale="log", yscale="log", xlabel="users", ylabel="questions a second")
    for axes in (left, right):
        axes.set_xticks(users, [str(count) for count in users])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    left.legend(frameon=False, fontsize=8)
    _save(figure, "levels")


def _chart_soak(memory: Sequence[Sequence[float]]) -> None:
    figure, axes = pyplot.subplots(figsize=(10, 2.8), layout="constrained")
    axes.plot([at / 60 for at, _ in memory], [size for _, size in memory])
    axes.set(xlabel="minutes", ylabel="MB resident, app", ylim=(0, None))
    axes.grid(alpha=0.3)
    _save(figure, "soak")


def _save(figure: Any, name: str) -> None:
    with pyplot.rc_context({"svg.fonttype": "none", "svg.hashsalt": "load"}):
        figure.savefig(DOCS / f"load-{name}.svg", metadata={"Date": None})
    pyplot.close(figure)
