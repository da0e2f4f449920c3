"""Every promise of docs/security.md names tests that are there."""

from __future__ import annotations

import ast
import re

import pytest

from tests.conftest import ROOT

LINES = [
    line.strip("| ").split(" | ")
    for line in (ROOT / "docs" / "security.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and "`tests/" in line
]


def test_there_are_promises() -> None:
    assert len(LINES) >= 10


@pytest.mark.parametrize(("promise", "shown"), LINES)
def test_a_promise_is_shown_by_tests_that_are_there(promise: str, shown: str) -> None:
    for name in re.findall(r"`(tests/[^`]+)`", shown):
        tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
        assert any(
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
            for node in ast.walk(tree)
        ), name


def test_markup_is_never_taken_from_elsewhere() -> None:
    for folder in ("app", "pages"):
        for path in (ROOT / folder).rglob("*.py"):
            source = path.read_text(encoding="utf-8")
            assert "unsafe_allow_html" not in source, path
            assert "unsafe_allow_javascript" not in source or path.name == "ui.py", path
