"""Passwords, hashed with Argon2id (RFC 9106) at the parameters that argon2-cffi recommends."""

from __future__ import annotations

import asyncio
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from argon2.low_level import ARGON2_VERSION

from engine.errors import BadInput

SHORTEST, LONGEST = 10, 1000
AT_ONCE = 2  # each takes 64 MiB and a core


class Passwords:
    """Hashing and checking, off the event loop and few at once."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._slots = asyncio.Semaphore(AT_ONCE)
        # Checked for accounts that are not there, which must take as long. No password has this hash.
        costs = f"m={self._hasher.memory_cost},t={self._hasher.time_cost},p={self._hasher.parallelism}"
        self._nobodys = f"$argon2id$v={ARGON2_VERSION}${costs}${'A' * 22}${'A' * 43}"

    async def hash(self, password: str) -> str:
        """What is kept of a password. Raises BadInput for one that is too short or too long."""
        if not SHORTEST <= len(password) <= LONGEST:
            raise BadInput(f"A password has at least {SHORTEST} characters and at most {LONGEST}.")
        async with self._slots:
            return await asyncio.to_thread(self._hasher.hash, _normal(password))

    async def right(self, password: str, hashed: str | None) -> bool:
        """Whether this is the password; without a hash it is not, and that takes as long."""
        async with self._slots:
            fits = await asyncio.to_thread(self._check, _normal(password[:LONGEST]), hashed or self._nobodys)
        return fits and hashed is not None

    def _check(self, password: str, hashed: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (Argon2Error, InvalidHashError):
            return False


def _normal(password: str) -> str:
    return unicodedata.normalize("NFKC", password)
