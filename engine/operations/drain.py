"""Taking a process out of service: it finishes what it has, and takes nothing new."""

from __future__ import annotations

from datetime import UTC, datetime

from engine.errors import Draining


class Drain:
    """since: when draining began; None while the process serves."""

    def __init__(self) -> None:
        self.since: datetime | None = None

    def begin(self) -> None:
        """Take nothing new from now on."""
        self.since = self.since or datetime.now(UTC)

    def end(self) -> None:
        """Serve again."""
        self.since = None

    def check(self) -> None:
        """Raises Draining where nothing new is taken."""
        if self.since is not None:
            raise Draining(
                "This server is about to stop, and takes no new questions or files.",
                hint="Try again in a moment; what is under way is finished.",
            )
