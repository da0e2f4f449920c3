"""The dashboard and the alerts that are shipped ask for what a scrape really shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from engine.documents.jobs import Upload
from engine.errors import BadInput
from tests.conftest import ROOT, OpenEngine
from tests.redis_server import binaries, running
from tests.storage.pgbouncer import running as running_pgbouncer

pytestmark = pytest.mark.anyio

DASHBOARD = ROOT / "deploy" / "grafana" / "dossier.json"
RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"
OF_THE_SCRAPE = {"job", "instance"}  # labels that Prometheus itself adds

Selector = tuple[str, dict[str, str]]


def selectors(expression: str) -> Iterator[Selector]:
    """Metrics named in PromQL, with the labels that must be equal; raises ValueError for what is none."""

    def walk(node: Any) -> Iterator[Selector]:
        if isinstance(node, promql_parser.VectorSelector):
            equal = {
                matcher.name: matcher.value
                for matcher in node.matchers.matchers
                if matcher.op == promql_parser.MatchOp.Equal and matcher.name not in OF_THE_SCRAPE
            }
            yield node.name, equal
        for part in ("expr", "lhs", "rhs", "vector_selector"):
            if (inner := getattr(node, part, None)) is not None:
                yield from walk(inner)
        for argument in getattr(node, "args", None) or ():
            yield from walk(argument)

    yield from walk(promql_parser.parse(expression))


def grouped_by(expression: str) -> set[str]:
    names = re.findall(r"by \(([^)]*)\)", expression)
    return {label.strip() for group in names for label in group.split(",")} - OF_THE_SCRAPE - {"le"}


def dashboard_expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    found = [target["expr"] for panel in panels for target in panel["targets"]]
    return [expression.replace("$__rate_interval", "1m") for expression in found]


def alert_expressions() -> list[str]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


@pytest.fixture(scope="module")
async def exported(
    open_test_engine: OpenEngine, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[dict[str, str]]]:
    """Samples by name, of an app that has all that it can have, after some questions."""
    folder: Path = tmp_path_factory.mktemp("servers")
    with (
        running(folder / "redis", binaries()["valkey"], "--maxmemory", "64mb") as redis,
        running_pgbouncer(folder / "pgbouncer", database_url.replace("+asyncpg", "")) as bouncer,
    ):
        async with open_test_engine(
            enable_redis_cache=True, redis_url=redis.url, use_pgbouncer=True, pgbouncer_url=bouncer.url
        ) as engine:
            job = await engine.ingestion.submit([Upload("gate.md", b"# Gate\n\nThe gate closes at nine.\n")])
            await engine.ingestion.wait(job.id)
            await engine.ask("When does the gate close?")
            with pytest.raises(BadInput):
                await engine.ask("")
            await engine.metrics.refresh()
            text = (await engine.metrics.exposition()).decode()
    samples: dict[str, list[dict[str, str]]] = {"up": [{}]}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(dict(sample.labels))
    return samples


@pytest.mark.parametrize("expression", dashboard_expressions() + alert_expressions())
async def test_every_expression_asks_for_series_that_are_there(
    expression: str, exported: dict[str, list[dict[str, str]]]
) -> None:
    asked = [*selectors(expression)]
    assert asked
    labels: set[str] = set()
    for name, equal in asked:
        assert name in exported, name
        labels |= {label for series in exported[name] for label in series}
        assert any(equal.items() <= series.items() for series in exported[name]), (name, equal)
    assert grouped_by(expression) <= labels


def test_operators_are_told_what_to_do() -> None:
    manual = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"]["action"]
            assert f"`{rule['alert']}`" in manual
