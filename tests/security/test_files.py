"""No hostile file gets more than a refusal that names it and its trick."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.documents.parsing.checks import _shown
from tests.security.files import READ, hostile_files
from tests.security.inside import FOLDERS
from tests.security.reading import Reader

FILES = hostile_files()
# Nothing of the machine's inside may be told: paths, code, addresses of memory.
_INSIDE = re.compile(rf"Traceback|File \"|{FOLDERS}|/usr/|site-packages|\.py\b|0x[0-9a-f]{{6,}}")


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with Reader() as running:
        yield running


def test_there_are_as_many_as_promised() -> None:
    assert len(FILES) >= 200


@pytest.mark.parametrize("trick", FILES)
def test_a_hostile_file_is_refused_by_name_or_read_harmlessly(trick: str, reader: Reader) -> None:
    file = FILES[trick]
    outcome = reader.read(file.file_name, file.make())
    assert outcome.reason in file.comes_to, outcome
    if outcome.reason == READ:
        assert outcome.text.isprintable() or "\n" in outcome.text
        assert "root:x:0" not in outcome.text  # of /etc/passwd
    else:
        assert outcome.message.startswith(_shown(file.file_name)), outcome
        assert not _INSIDE.search(outcome.message.removeprefix(_shown(file.file_name))), outcome
        assert outcome.message.isprintable() and len(outcome.message) < 600


def test_the_process_that_read_them_wrote_nothing(reader: Reader) -> None:
    assert [*Path(reader._folder.name).iterdir()] == []
