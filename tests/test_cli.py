"""The command line, run as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.settings import Settings

from .conftest import ROOT

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def run(database_url: str, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    kept = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
    environment = kept | {
        "DATABASE_URL": database_url,
        "DATABASE_SCHEMA": "command_line",
        "DOSSIER_HOME": str(home),
        "PYTHONPATH": str(ROOT),
    }
    folder = tmp_path_factory.mktemp("cli")
    (folder / "docs").mkdir()
    (folder / "docs" / "quy chế.md").write_text("# Quy chế\n\nHội đồng có năm thành viên.", encoding="utf-8")
    (folder / "docs" / "rules.md").write_text("# Rules\n\nThe gate closes at nine in the evening.")

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "engine", *arguments],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
        )

    assert command("ingest", "docs").returncode == 0
    return command


def parsed(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    value = json.loads(done.stdout)
    assert isinstance(value, dict)
    return value


def test_json_is_one_object_and_nothing_else(run: Run) -> None:
    listed = parsed(run("documents", "--json"))
    assert listed["total"] == 2
    answer = parsed(run("ask", "When does the gate close?", "--json"))
    assert answer["citations"][0]["quote"] == "The gate closes at nine in the evening."
    found = parsed(run("search", "hoi dong co may thanh vien", "--k", "1", "--json"))
    assert [c["passage"]["document_title"] for c in found["candidates"]] == ["Quy chế"]
    assert {feature["name"] for feature in parsed(run("features", "--json"))["features"]} >= {
        "database",
        "embedder",
    }


def test_ingesting_again_is_a_no_op(run: Run) -> None:
    again = parsed(run("ingest", "docs", "--json"))
    assert {file["stage"] for file in again["files"]} == {"unchanged"}


def test_people_read_text(run: Run) -> None:
    done = run("ask", "When does the gate close?")
    assert "nine in the evening" in done.stdout
    assert "[1] Rules" in done.stdout


def test_failures_name_the_reason_and_set_the_status(run: Run, tmp_path: Path) -> None:
    absent = run("ingest", "no-such-file.pdf")
    assert absent.returncode == 1
    assert "no-such-file.pdf does not exist" in absent.stderr
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 nothing more")
    broken = run("ingest", str(tmp_path / "broken.pdf"), "--json")
    assert broken.returncode == 1
    assert json.loads(broken.stdout)["files"][0]["stage"] == "failed"
    assert "Traceback" not in absent.stderr + broken.stderr


def test_cache_layers_are_told_and_emptied(run: Run) -> None:
    def held() -> dict[str, int]:
        layers = parsed(run("cache", "--json"))["layers"]
        return {layer["name"]: layer["usage"]["entries"] for layer in layers}

    run("ask", "When does the gate close?", "--json")
    assert held()["L3"] > 0
    (cleared,) = parsed(run("cache", "--clear", "L3", "--json"))["cleared"]
    assert (cleared["layer"], cleared["done"]) == ("L3", True)
    assert held()["L3"] == 0
    assert run("cache", "--clear", "L9").returncode == 2


def test_a_backup_is_made_checked_and_put_back_into_no_place_that_is_taken(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "b.dossier"
    made = parsed(run("backup", str(file), "--json"))["backup"]
    assert made["tables"]["documents"]["rows"] == 2
    assert parsed(run("restore", str(file), "--check", "--json"))["backup"] == made
    taken = run("restore", str(file))
    assert taken.returncode == 1
    assert "--replace command_line" in taken.stderr
    file.write_bytes(file.read_bytes()[:-100])
    cut = run("restore", str(file), "--check")
    assert (cut.returncode, cut.stdout) == (1, "")
    assert "not whole" in cut.stderr
    assert "Traceback" not in taken.stderr + cut.stderr


def test_evaluate_reports_every_pipeline_and_leaves_the_corpus_alone(run: Run, tmp_path: Path) -> None:
    facts = ["The gate closes at nine.", "Bread is baked at five.", "The library opens at ten."]
    questions = ["When does the gate close?", "When is bread baked?", "When does the library open?"]
    (tmp_path / "corpus.jsonl").write_text(
        "\n".join(json.dumps({"id": f"d{n}", "title": "", "text": fact}) for n, fact in enumerate(facts))
    )
    queries = [
        {"id": f"q{n}", "text": question, "answers": [facts[n].split()[-1].strip(".")], "answerable": True}
        for n, question in enumerate(questions)
    ]
    queries.append(
        {"id": "q9", "text": "What is the weight of the moon?", "answers": [], "answerable": False}
    )
    (tmp_path / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    (tmp_path / "qrels.tsv").write_text(
        "query-id\tdoc-id\tscore\n" + "".join(f"q{n}\td{n}\t1\n" for n in range(3))
    )
    report = parsed(run("evaluate", str(tmp_path), "--json"))
    assert list(report["pipelines"]) == ["bm25", "dense", "hybrid", "hybrid+built-in"]
    for figures in report["pipelines"].values():
        assert figures.keys() >= {"ndcg@10", "mrr@10", "recall@50", "p50_ms", "p95_ms"}
        assert figures["ndcg@10"] == 1.0
    assert report["ndcg@10"]["hybrid+built-in"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
    compared = {pair["a"]: pair for pair in report["comparisons"]}
    assert list(compared) == ["bm25", "dense", "hybrid+built-in"]
    assert compared["hybrid+built-in"] == {
        "a": "hybrid+built-in", "b": "hybrid", "difference": 0.0, "p_value": 1.0,
        "wins": 0, "losses": 0, "ties": 3,
    }  # fmt: skip
    assert report["answer_recall"] == 1.0
    assert report["abstain_auroc"] == 1.0
    assert report["abstain_singles"].keys() == {"bm25", "dense", "reranked"}
    assert parsed(run("documents", "--json"))["total"] == 2


def test_evaluating_a_mode_needs_a_language_model(run: Run, tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"id": "d1", "text": "The gate closes at nine."}\n')
    (tmp_path / "queries.jsonl").write_text('{"id": "q1", "text": "When does the gate close?"}\n')
    (tmp_path / "qrels.tsv").write_text("query-id\tdoc-id\tscore\nq1\td1\t1\n")
    done = run("evaluate", str(tmp_path), "--pipelines", "hybrid+built-in+balanced", "--json")
    assert done.returncode == 1
    assert "OPENAI_API_KEY" in done.stderr


def test_a_collection_that_cannot_be_used_is_refused_by_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"id": "d1", "text": "x"}\n{broken\n')
    done = run("evaluate", str(tmp_path), "--json")
    assert done.returncode == 1
    assert "corpus.jsonl, line 2" in done.stderr
