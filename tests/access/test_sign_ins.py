"""Who comes in, and what the door tells those who may not."""

from __future__ import annotations

import asyncio
import time
import unicodedata

import pytest
from sqlalchemy import select, text, update

from engine.access.principal import LOCAL, SYSTEM, acting
from engine.access.provided import Provided, check_provided, places
from engine.access.sign_ins import FAILURES
from engine.engine import Engine
from engine.errors import BadInput, NotAllowed, NotFound, NotSignedIn
from engine.storage.account_tables import accounts, api_keys, sign_ins

from .conftest import PASSWORD, join, key_of

pytestmark = pytest.mark.anyio


async def refused(engine: Engine, name: str, password: str) -> str:
    with pytest.raises(NotSignedIn) as told:
        await engine.entrance.sign_ins.sign_in(name, password)
    return str(told.value)


async def test_a_password_lets_in_until_signing_out(guarded: Engine) -> None:
    anna = await join(guarded, "Anna", "editor")
    assert (anna.name, anna.role, anna.everywhere) == ("anna", "editor", False)
    door = guarded.entrance.sign_ins
    token = await door.sign_in(" ANNA ", PASSWORD)
    assert (await door.of_browser(token)).id == anna.id
    await door.sign_out(token)
    with pytest.raises(NotSignedIn):
        await door.of_browser(token)


async def test_whoever_is_looked_up_while_signing_out_is_out_afterwards(guarded: Engine) -> None:
    await join(guarded, "nina", "editor")
    door = guarded.entrance.sign_ins
    token = await door.sign_in("nina", PASSWORD)
    async with guarded.database.write() as db:  # in its way, until this ends
        await db.execute(select(sign_ins).with_for_update())
        leaving = asyncio.create_task(door.sign_out(token))
        waits = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        async with asyncio.timeout(10):
            while not (await db.execute(waits)).scalar_one():
                await asyncio.sleep(0.01)
        assert (await door.of_browser(token)).name == "nina"
    await leaving
    with pytest.raises(NotSignedIn):
        await door.of_browser(token)


async def test_nothing_that_lets_in_is_stored(guarded: Engine) -> None:
    await join(guarded, "bea")
    token = await guarded.entrance.sign_ins.sign_in("bea", PASSWORD)
    key = await key_of(guarded, "bea")
    async with guarded.database.read() as db:
        kept = [
            str(value)
            for table in (accounts, sign_ins, api_keys)
            for row in await db.execute(select(table))
            for value in row
        ]
    assert any(value.startswith("$argon2id$") for value in kept)
    assert not any(secret in value for value in kept for secret in (PASSWORD, token, key))


async def test_wrong_unknown_and_locked_are_told_the_same(
    guarded: Engine,
) -> None:
    await join(guarded, "carl")
    told = {await refused(guarded, "carl", "wrong"), await refused(guarded, "nobody", "wrong")}
    for _ in range(FAILURES):
        told.add(await refused(guarded, "carl", "wrong"))
    told.add(await refused(guarded, "carl", PASSWORD))  # right, but locked
    assert len(told) == 1
    async with guarded.database.write() as db:  # the lock runs out
        await db.execute(update(accounts).values(locked_until=text("now() - interval '1 second'")))
    assert await guarded.entrance.sign_ins.sign_in("carl", PASSWORD)


async def test_many_tries_at_once_are_not_more_tries(guarded: Engine) -> None:
    """All of them begin while it is open; those that end after it was locked are refused, right or wrong."""
    await join(guarded, "đức")
    door = guarded.entrance.sign_ins
    tries = [door.sign_in("đức", f"wrong {n}") for n in range(2 * FAILURES)]
    *wrong, right = await asyncio.gather(*tries, door.sign_in("đức", PASSWORD), return_exceptions=True)
    assert all(isinstance(told, NotSignedIn) for told in [*wrong, right])


async def test_a_name_is_known_however_it_was_typed(guarded: Engine) -> None:
    await join(guarded, "Đặng")
    for typed in (unicodedata.normalize("NFD", "Đặng"), " ĐẶNG "):
        assert await guarded.entrance.sign_ins.sign_in(typed, PASSWORD)


async def test_unknown_names_cost_the_same_work(guarded: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same Argon2 check and statements, so that no clock tells one from the other."""
    await join(guarded, "dora")
    took: dict[str, float] = {}
    for name in ("dora", "nobody"):
        await refused(guarded, name, "warm")
        began = time.perf_counter()
        await refused(guarded, name, "wrong")
        took[name] = time.perf_counter() - began
    checked: list[str] = []
    hashed = guarded.entrance.sign_ins._passwords._check
    monkeypatch.setattr(
        guarded.entrance.sign_ins._passwords,
        "_check",
        lambda password, kept: checked.append(kept[:30]) or hashed(password, kept),
    )
    await refused(guarded, "dora", "wrong")
    await refused(guarded, "nobody", "wrong")
    assert len(checked) == 2 and checked[0] == checked[1]  # the same parameters
    assert took["nobody"] > took["dora"] / 5


async def test_a_disabled_account_and_its_keys_are_out_at_once(guarded: Engine) -> None:
    await join(guarded, "eve")
    door = guarded.entrance.sign_ins
    token, key = await door.sign_in("eve", PASSWORD), await key_of(guarded, "eve")
    assert (await door.of_key(key)).name == (await door.of_browser(token)).name == "eve"
    with acting(SYSTEM):
        await guarded.entrance.accounts.disable("eve")
    for coming in (door.of_browser(token), door.of_key(key), door.sign_in("eve", PASSWORD)):
        with pytest.raises(NotSignedIn):
            await coming


async def test_keys_are_narrowed_end_and_are_revoked(guarded: Engine) -> None:
    await join(guarded, "fred", "admin")
    door = guarded.entrance.sign_ins
    principal = await door.of_key(await key_of(guarded, "fred", "read"))
    assert principal.may("read") and not principal.may("edit") and not principal.may("administer")
    short = await key_of(guarded, "fred", "read", days=1e-9)
    with pytest.raises(NotSignedIn):
        await door.of_key(short)
    key = await key_of(guarded, "fred", "edit")
    key_id = (await door.of_key(key)).key_id
    assert key_id is not None
    with acting(SYSTEM):
        await guarded.entrance.keys.revoke(key_id)
    with pytest.raises(NotSignedIn):
        await door.of_key(key)


async def test_an_identity_providers_account_is_its_own(guarded: Engine) -> None:
    """One who calls himself as a local account does not become it."""
    local = await join(guarded, "gina", "admin")
    door = guarded.entrance.sign_ins
    first = await door.sign_in_provided(Provided("https://id.example|42", "Gina"))
    theirs = await door.of_browser(first)
    assert theirs.id != local.id and theirs.role == "reader" and theirs.name.startswith("gina-")
    again = await door.sign_in_provided(Provided("https://id.example|42", "Another name"))
    assert (await door.of_browser(again)).id == theirs.id
    await door.sign_out(again)
    with pytest.raises(NotSignedIn):
        await door.of_browser(again)
    assert (await door.of_browser(first)).id == theirs.id  # another browser's
    with acting(SYSTEM):
        await guarded.entrance.accounts.disable(theirs.name)
    with pytest.raises(NotAllowed, match="disabled"):
        await door.sign_in_provided(Provided("https://id.example|42", "Gina"))
    with pytest.raises(NotSignedIn):
        await door.of_browser(first)


@pytest.mark.parametrize(
    ("email", "verified", "let_in"),
    [
        ("anna@example.org", True, True),
        ("Anna@Example.ORG", True, True),
        ("guest@other.net", True, True),
        ("else@other.net", True, False),
        ("anna@sub.example.org", True, False),
        ("anna@example.org.evil.net", True, False),
        ("anna@example.org", False, False),  # anybody can claim to have it
        ("", True, False),
    ],
)
def test_a_provider_is_believed_only_about_whom_the_settings_name(
    email: str, verified: bool, let_in: bool
) -> None:
    allowed = places(" @example.org, Guest@other.net ,")
    who = Provided("https://id.example|1", "Anna", email, verified)
    if let_in:
        check_provided(who, allowed)
    else:
        with pytest.raises(NotAllowed):
            check_provided(who, allowed)


async def test_only_administrators_see_and_change_accounts(guarded: Engine) -> None:
    for role in ("reader", "editor", "operator"):
        with acting(await join(guarded, f"h-{role}", role)):
            for work in (
                guarded.entrance.accounts.list(),
                guarded.entrance.accounts.add("more", "admin", PASSWORD),
                guarded.entrance.accounts.set_role(f"h-{role}", "admin"),
                guarded.entrance.keys.list(),
                guarded.entrance.keys.create(f"h-{role}", "mine"),
            ):
                with pytest.raises(NotAllowed):
                    await work
    with pytest.raises(NotSignedIn):
        await guarded.entrance.accounts.list()


async def test_bad_accounts_are_refused_by_name(guarded: Engine) -> None:
    await join(guarded, "ines")
    with acting(SYSTEM):
        for name, role, password, why in (
            ("ines", "reader", PASSWORD, "already"),
            ("a b", "emperor", PASSWORD, "emperor"),
            ("short", "reader", "short", "at least 10"),
            ("", "reader", PASSWORD, "name"),
        ):
            with pytest.raises(BadInput, match=why):
                await guarded.entrance.accounts.add(name, role, password)  # type: ignore[arg-type]
        with pytest.raises(NotFound):
            await guarded.entrance.keys.create("nobody", "x")


async def test_without_access_control_everyone_is_the_local_principal(engine: Engine) -> None:
    assert engine.access.principal() is LOCAL
    assert engine.access.restricted() is None
