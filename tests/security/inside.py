"""Folders of this machine, of which no answer may tell: a pattern."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from tests.conftest import ROOT

FOLDERS = "|".join(
    re.escape(f"{folder}/")
    for folder in sorted(
        {str(ROOT.parent), str(Path.home()), tempfile.gettempdir(), sys.prefix, "/root", "/tmp"}
    )
    if folder != "/"
)
