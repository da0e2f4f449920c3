"""Commands about who can come in: accounts, REST keys, collections; and the audit."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic_core import to_jsonable_python

from engine.access.audit import as_csv
from engine.access.principal import PERMISSIONS, ROLES
from engine.engine import Engine
from engine.errors import BadInput

Command = Callable[[Engine, argparse.Namespace], Awaitable[int]]


def add_entrance_commands(command: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """command: adds one to the parser, by its name and what it does."""
    accounts = command("accounts", "Add people and programs, or change what they may do.")
    accounts.add_argument(
        "action", choices=("add", "list", "role", "password", "disable", "enable"), nargs="?", default="list"
    )
    accounts.add_argument("name", nargs="?", default="")
    accounts.add_argument("--role", choices=ROLES, default="reader")
    accounts.add_argument("--no-password", action="store_true", help="comes by REST keys only")
    accounts.add_argument(
        "--password-stdin", action="store_true", help="read the password from standard input"
    )

    keys = command("keys", "Make REST keys, list them, revoke one.")
    keys.add_argument("action", choices=("create", "list", "revoke"), nargs="?", default="list")
    keys.add_argument("subject", nargs="?", default="", metavar="ACCOUNT|ID")
    keys.add_argument("--name", default="", help="what the key is for")
    keys.add_argument(
        "--scope", action="append", choices=PERMISSIONS, help="may be given again; default read"
    )
    keys.add_argument("--days", type=float, default=90, help="until it ends (default 90); 0 is never")

    collections = command("collections", "Make collections of documents, and say who reads them.")
    collections.add_argument(
        "action",
        choices=("create", "list", "join", "leave", "open", "close", "move", "remove"),
        nargs="?",
        default="list",
    )
    collections.add_argument("subject", nargs="?", default="", metavar="NAME|ID")
    collections.add_argument("others", nargs="*", metavar="ACCOUNT|DOCUMENT", help="who or what")
    collections.add_argument(
        "--into", type=int, metavar="ID", help="with remove: where what it holds moves first"
    )

    audit = command("audit", "Show who did what, the latest first.")
    audit.add_argument("--who", default="", help="name of an account")
    audit.add_argument("--action", default="", help="as it is shown: ask, upload, delete …")
    audit.add_argument("--days", type=float, default=30, help="how far back (default 30)")
    audit.add_argument("--limit", type=int, default=1000)
    audit.add_argument("--csv", action="store_true", help="as a table for other programs")


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on standard output."""
    print(json.dumps(to_jsonable_python(value), ensure_ascii=False))


async def _accounts(engine: Engine, options: argparse.Namespace) -> int:
    accounts = engine.entrance.accounts
    if options.action == "list":
        found = await accounts.list()
        if options.json:
            print_json({"accounts": [asdict(account) for account in found]})
            return 0
        for account in found:
            how = "disabled" if account.disabled else "password" if account.password else "no password"
            print(f"{account.name:30}  {account.role:8}  {how}")
        return 0
    match options.action:
        case "add":
            password = None if options.no_password else _password(options)
            account = await accounts.add(options.name, options.role, password)
        case "role":
            account = await accounts.set_role(options.name, options.role)
        case "password":
            account = await accounts.set_password(options.name, _password(options))
        case "disable":
            account = await accounts.disable(options.name)
        case _:
            account = await accounts.enable(options.name)
    if options.json:
        print_json(asdict(account))
    else:
        print(f"{account.name} is {'disabled' if account.disabled else account.role}.")
    return 0


async def _keys(engine: Engine, options: argparse.Namespace) -> int:
    keys = engine.entrance.keys
    if options.action == "create":
        made = await keys.create(
            options.subject, options.name, options.scope or ("read",), options.days or None
        )
        if options.json:
            print_json({"key": made})
        else:
            print(made)
            print("This is shown once. Keep it where secrets are kept.", file=sys.stderr)
        return 0
    if options.action == "revoke":
        number = _number(options.subject, "A key")
        await keys.revoke(number)
        if options.json:
            print_json({"revoked": number})
        return 0
    found = await keys.list()
    if options.json:
        print_json({"keys": [asdict(key) for key in found]})
        return 0
    for key in found:
        ends = "revoked" if key.revoked_at else f"until {key.expires_at:%Y-%m-%d}" if key.expires_at else ""
        print(f"{key.id:5}  {key.account:20}  {','.join(key.scopes):20}  {ends:18}  {key.name}")
    return 0


async def _collections(engine: Engine, options: argparse.Namespace) -> int:
    collections = engine.entrance.collections
    if options.action == "create":
        await collections.create(options.subject)
    elif options.action != "list":
        chosen = _number(options.subject, "A collection")
        match options.action:
            case "join":
                await collections.change(chosen, join=options.others)
            case "leave":
                await collections.change(chosen, leave=options.others)
            case "move":
                ids = [_number(one, "A document") for one in options.others]
                await engine.documents.move(ids, chosen)
            case "remove":
                await collections.delete(chosen, into=options.into)
            case _:
                await collections.change(chosen, everyone=options.action == "open")
    found = await collections.list()
    if options.json:
        print_json({"collections": [asdict(collection) for collection in found]})
        return 0
    for collection in found:
        readers = "everyone" if collection.everyone else ", ".join(collection.members) or "nobody"
        print(f"{collection.id:5}  {collection.name:30}  {collection.documents:6} documents  {readers}")
    return 0


async def _audit(engine: Engine, options: argparse.Namespace) -> int:
    events = await engine.entrance.audit.list(
        who=options.who,
        action=options.action,
        since=datetime.now(UTC) - timedelta(days=options.days),
        limit=options.limit,
    )
    if options.json:
        print_json({"events": [asdict(event) for event in events]})
    elif options.csv:
        print(as_csv(events), end="")
    else:
        for event in events:
            refused = "" if event.done else "  (refused)"
            told = f"{event.who:15}  {event.action:18}  {event.subject}  {event.outcome}{refused}"
            print(f"{event.at:%Y-%m-%d %H:%M:%S}  {told}  [{event.via}]")
    return 0


def _number(given: str, what: str) -> int:
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise BadInput(
            f"{what} is named by its number, not by “{given}”.", hint="Its list shows the numbers."
        )
    return int(given)


def _password(options: argparse.Namespace) -> str:
    if options.password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    given = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != given:
        raise BadInput("These are two different passwords.")
    return given


ENTRANCE_COMMANDS: Mapping[str, Command] = {
    "accounts": _accounts,
    "keys": _keys,
    "collections": _collections,
    "audit": _audit,
}
