"""What is asked of: real documents in two languages, and the questions that users have."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docx
from sqlalchemy import text

from benchmarks.tables import ROOT, SHARED
from engine.answering.suggestions import suggest
from engine.documents.jobs import Upload
from engine.engine import open_engine
from engine.evaluation.collection import read_collection
from engine.settings import load_settings

FILES = ("procurement-vi", "manuals-en")
PARAGRAPHS = "xquad-en"
_SAMPLE = {
    "vi": ["Hội đồng nghiệm thu gồm những ai?", "Thời hạn nghiệm thu là bao lâu?"],
    "en": ["How many quotations are needed for a purchase?", "Meals abroad are refunded up to how much?"],
}


@dataclass(frozen=True, slots=True)
class Corpus:
    """Where it lies, and what is asked: by language, the most frequent questions first."""

    home: Path
    documents: int
    passages: int
    questions: dict[str, list[str]]


async def stock(home: Path, *, sample: bool = False) -> Corpus:
    """A home with the corpus in it, made unless it is there already.

    sample: the app's six sample files, for tests. Otherwise the shared documents; their Vietnamese
    questions are made of their own headings, the English ones are those of xquad-en.
    """
    ready = home / "corpus.json"
    if ready.exists():
        return Corpus(home, **json.loads(ready.read_text()))
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o755)  # PostgreSQL may run as a user of its own
    async with open_engine(load_settings(_env_file=None, dossier_home=home)) as engine:
        job = await engine.ingestion.submit(_sample_files() if sample else _shared_files())
        job = await engine.ingestion.wait(job.id)
        if failed := [file for file in job.files if file.stage == "failed"]:
            raise RuntimeError(f"{failed[0].file_name}: {failed[0].message}")
        async with engine.database.read() as db:
            headings = await db.execute(
                text(
                    "SELECT d.title, h.heading, d.language FROM headings h"
                    " JOIN documents d ON d.id = h.document_id WHERE d.language = 'vi'"
                )
            )
            vietnamese = suggest([(title, heading, language) for title, heading, language in headings], 300)
        counts = await engine.documents.statistics()
    english = [] if sample else [query.text for query in read_collection(SHARED / PARAGRAPHS).queries]
    questions = _SAMPLE if sample else {"vi": vietnamese, "en": english}
    figures: dict[str, Any] = {
        "documents": counts.documents,
        "passages": counts.passages,
        "questions": questions,
    }
    ready.write_text(json.dumps(figures, ensure_ascii=False))
    return Corpus(home, **figures)


async def purge(home: Path) -> None:
    """Remove deleted documents for good, so that the next measurement sees the corpus as it was."""
    async with open_engine(
        load_settings(_env_file=None, dossier_home=home, delete_grace_seconds=0)
    ) as engine:
        await engine.purge()


def _sample_files() -> list[Upload]:
    files = sorted(path for path in (ROOT / "app" / "sample").iterdir() if path.is_file())
    return [Upload(path.name, path) for path in files if path.suffix != ".py"]


def _shared_files() -> list[Upload]:
    files = [path for folder in FILES for path in sorted((SHARED / folder).iterdir())]
    paragraphs = [
        Upload(f"{record.id}.txt", f"{record.title}\n\n{record.text}".encode())
        for record in read_collection(SHARED / PARAGRAPHS).corpus
    ]
    return [Upload(path.name, path) for path in files if path.suffix != ".txt"] + paragraphs


def files_to_ingest(folder: Path, count: int) -> list[Path]:
    """Files made of paragraphs of the shared collections: text, Markdown, HTML, CSV and DOCX in turns."""
    records = [*read_collection(SHARED / "xquad-vi").corpus, *read_collection(SHARED / "squad2-en").corpus]
    each = min(6, len(records) // count)
    files: list[Path] = []
    for number in range(count):
        paragraphs = [record.text for record in records[number * each : (number + 1) * each]]
        kind = ("txt", "md", "html", "csv", "docx")[number % 5]
        path = folder / f"made-{number:03d}.{kind}"
        if kind == "docx":
            document = docx.Document()
            document.add_heading(f"File {number}")
            for paragraph in paragraphs:
                document.add_paragraph(paragraph)
            document.save(str(path))
        elif kind == "html":
            path.write_text(f"<h1>File {number}</h1>" + "".join(f"<p>{p}</p>" for p in paragraphs))
        elif kind == "csv":
            rows = "\n".join('{},"{}"'.format(n, p.replace('"', '""')) for n, p in enumerate(paragraphs))
            path.write_text(f"number,text\n{rows}\n")
        else:
            path.write_text(f"# File {number}\n\n" + "\n\n".join(paragraphs))
        files.append(path)
    return files
