"""Random tokens that let somebody in: what is kept of them."""

from __future__ import annotations

import hashlib


def hashed(token: str) -> str:
    """What is kept of a random token; nothing can be guessed from it, so that it needs no salt."""
    return hashlib.sha256(token.encode()).hexdigest()
