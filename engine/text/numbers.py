"""Numbers as texts write them."""

from __future__ import annotations

import re
import unicodedata

_DIGITS = re.compile(r"(?<![^\W\d_])\d+(?:[.,]\d+)*")  # not the 2 of km2
_GROUPED = re.compile(r"\d{1,3}(?:([.,])\d{3})(?:\1\d{3})*\Z")


def numbers(text: str) -> set[str]:
    """Numbers in one spelling: 1.000, 1,000 and 1000 are one, so are 05 and 5, 1,5 and 1.5."""
    found = set()
    for number in _DIGITS.findall(unicodedata.normalize("NFKC", text)):
        plain = re.sub(r"[.,]", "", number) if _GROUPED.match(number) else number.replace(",", ".")
        found.add(plain.lstrip("0") or "0")
    return found
