"""Every error that the engine raises on purpose.

    DossierError                    base: a message for people, and what to do about it
    ├── BadInput                    what was given cannot be used; nothing was changed
    │   └── UnreadableFile          one file, named, with the reason
    ├── NotFound                    no document, session or turn of that id, or none that you may see
    ├── NotSignedIn                 access control, and nobody has signed in
    ├── NotAllowed                  whoever acts may not do that
    ├── TooMany                     whoever acts has asked too much within a minute
    ├── Cancelled                   the caller asked for work to stop
    └── Unavailable                 something that Dossier depends on does not answer
        ├── DatabaseUnavailable
        ├── RedisUnavailable        never reaches a user: Redis is always optional
        ├── Draining                this process is being taken out of service
        ├── ModelUnavailable        a local model cannot be loaded
        └── LanguageModelUnavailable

Driver errors are translated at the edge where they arise (`raise … from error`).
"""

from __future__ import annotations


class DossierError(Exception):
    """Base of the family. `message` says what happened, `hint` what to do (may be empty)."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class BadInput(DossierError):
    """The input cannot be used."""


class UnreadableFile(BadInput):
    """A file that cannot be turned into text.

    `reason` is a short, stable word for tests and counters: ``encrypted``, ``empty``,
    ``truncated``, ``mislabelled``, ``unsupported``, ``too-large``, ``too-complex``,
    ``no-text``, ``needs-converter``, ``timeout``, ``damaged``, ``name``; and for what no honest
    document is: ``archive-bomb``, ``path-trick``, ``polyglot``, ``macros``, ``entities``,
    ``huge-image``, ``external-content``.
    """

    def __init__(self, file_name: str, reason: str, message: str, *, hint: str = "") -> None:
        super().__init__(f"{file_name}: {message}", hint=hint)
        self.file_name = file_name
        self.reason = reason


class NotFound(DossierError):
    """Nothing has that id."""


class NotSignedIn(DossierError):
    """Nobody is signed in, or a sign-in or key has ended."""


class NotAllowed(DossierError):
    """Who acts may not do this."""


class TooMany(DossierError):
    """More than one may ask for at a time. seconds: to wait."""

    def __init__(self, message: str, *, seconds: int) -> None:
        super().__init__(message, hint=f"Try again in {seconds} seconds.")
        self.seconds = seconds


class Cancelled(DossierError):
    """Stopped because the caller asked for it."""


class Unavailable(DossierError):
    """A dependency does not answer."""


class DatabaseUnavailable(Unavailable):
    """PostgreSQL cannot be reached, or has no free connection in time."""


class RedisUnavailable(Unavailable):
    """Redis does not answer, or refuses; whoever asked it takes the other way."""


class Draining(Unavailable):
    """This process takes nothing new: it is being taken out of service."""


class ModelUnavailable(Unavailable):
    """A local model cannot be loaded; the message names the package or folder."""


class LanguageModelUnavailable(Unavailable):
    """The OpenAI-compatible endpoint failed, timed out, or is not configured."""
