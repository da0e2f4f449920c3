"""Headers in one line, as the environment holds them."""

from __future__ import annotations


def parse_headers(given: str) -> dict[str, str]:
    """``name=value,other=value``. Raises ValueError."""
    pairs = [pair.partition("=") for pair in given.split(",") if pair.strip()]
    if any(not name.strip() or not equals for name, equals, _ in pairs):
        raise ValueError("must be name=value pairs, separated by commas")
    return {name.strip(): value.strip() for name, _, value in pairs}
