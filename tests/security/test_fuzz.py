"""Every parser on files made by chance; longer by `python -m tests.security.fuzz --minutes N`."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.security.fuzz import FORMATS, is_find, make
from tests.security.reading import Reader


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with Reader() as running:
        yield running


@pytest.mark.parametrize("extension", FORMATS)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**64))
def test_what_chance_makes_is_read_or_refused_by_name(extension: str, reader: Reader, seed: int) -> None:
    content = make(extension, random.Random(seed))
    outcome = reader.read(f"a.{extension}", content)
    assert not is_find(outcome), outcome
