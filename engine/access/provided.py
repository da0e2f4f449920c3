"""People whom an identity provider sends, and whom of them this server lets in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import NotAllowed


@dataclass(frozen=True, slots=True)
class Provided:
    """What a checked ID token says. subject: issuer and subject, which alone tell who it is.

    name: to be called by. email_verified: whether the provider vouches that the address is theirs.
    """

    subject: str
    name: str
    email: str = ""
    email_verified: bool = False


def places(given: str) -> tuple[str, ...]:
    """Addresses and domains of PROVIDED_TO, which has commas between them."""
    return tuple(part.strip().removeprefix("@").casefold() for part in given.split(",") if part.strip())


def check_provided(who: Provided, allowed: Sequence[str]) -> None:
    """Raises NotAllowed for whom neither e-mail address nor domain is in `allowed`; empty allows all.

    Only an address that the provider vouches for counts: others may be made up.
    """
    if not allowed:
        return
    address = who.email.strip().casefold()
    if not address or not who.email_verified:
        raise NotAllowed(
            "Your organisation does not vouch for an e-mail address of yours, and this server asks for one.",
            hint="Verify it there, or ask an administrator for an account with a password.",
        )
    if address not in allowed and address.rpartition("@")[2] not in allowed:
        raise NotAllowed(
            f"{address} is not among those whom this server lets in.",
            hint="Ask an administrator to add it to PROVIDED_TO, or for an account with a password.",
        )
