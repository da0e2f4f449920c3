"""Who acts, and what they may do. The engine decides by these alone.

A page or route says once who acts (`acting`); whatever is done for them, in tasks of their own
too, finds it there (a context variable). With access control, work that nobody has signed for
is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, get_args

from engine.errors import NotAllowed, NotSignedIn

Role = Literal["reader", "editor", "operator", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
Permission = Literal["read", "edit", "operate", "administer"]
PERMISSIONS: tuple[Permission, ...] = get_args(Permission)

# read: ask, and look at documents of one's collections. edit: change those documents.
# operate: see how it runs, empty caches, compare rerankers. administer: accounts, collections, audit.
MAY: Mapping[Role, frozenset[Permission]] = {
    "reader": frozenset({"read"}),
    "editor": frozenset({"read", "edit"}),
    "operator": frozenset({"read", "operate"}),
    "admin": frozenset(PERMISSIONS),
}
_MISSING: Mapping[Permission, str] = {
    "read": "This key may not read.",
    "edit": "You may not change documents.",
    "operate": "This is for operators.",
    "administer": "This is for administrators.",
}


@dataclass(frozen=True, slots=True)
class Principal:
    """A person, a program or Dossier itself.

    id: of the account; ``local`` and ``system`` are none. scopes: what a key is narrowed to.
    everywhere: reads all collections, as nobody with an account does. key_id: of the REST key used.
    """

    id: str
    name: str
    role: Role
    scopes: frozenset[Permission] = frozenset(PERMISSIONS)
    everywhere: bool = False
    key_id: int | None = None

    def may(self, permission: Permission) -> bool:
        """Whether both role and key allow it."""
        return permission in MAY[self.role] and permission in self.scopes


LOCAL = Principal("local", "local", "admin", everywhere=True)  # whoever sits at an open Dossier
SYSTEM = Principal("system", "Dossier", "admin", everywhere=True)  # housekeeping, and the shell

_acting: ContextVar[Principal | None] = ContextVar("principal", default=None)


@contextmanager
def acting(principal: Principal) -> Iterator[None]:
    """What is done inside is done by, and for, this principal."""
    token = _acting.set(principal)
    try:
        yield
    finally:
        _acting.reset(token)


class Access:
    """The one place that decides. on: False lets everyone do everything, as the principal LOCAL."""

    def __init__(self, on: bool) -> None:
        self.on = on

    def principal(self) -> Principal:
        """Who acts. Raises NotSignedIn with access control and nobody there."""
        principal = _acting.get()
        if principal is not None:
            return principal
        if self.on:
            raise NotSignedIn("Sign in first.")
        return LOCAL

    def require(self, permission: Permission) -> Principal:
        """Who acts, if they may. Raises NotSignedIn, NotAllowed."""
        principal = self.principal()
        if not principal.may(permission):
            raise NotAllowed(_MISSING[permission], hint="Ask an administrator for it.")
        return principal

    def restricted(self) -> Principal | None:
        """Who acts, where they do not see everything. Raises NotSignedIn, NotAllowed."""
        if not self.on:
            return None
        principal = self.require("read")
        return None if principal.everywhere else principal


OPEN = Access(on=False)
