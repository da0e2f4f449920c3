"""The short set of crashes; `python -m tests.recovery.crash` runs 200 rounds."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from .crash import crash
from .servers import KINDS

pytestmark = pytest.mark.anyio


async def test_no_acknowledged_write_is_lost_whatever_is_killed(home: Path) -> None:
    random.seed(7064)
    report = await crash(home / "models", rounds=len(KINDS), every=4)
    assert report.faults == []
    assert min(report.acknowledged.values()) > 0
    assert {kind: len(seconds) for kind, seconds in report.recovery.items()} == dict.fromkeys(KINDS, 1)
