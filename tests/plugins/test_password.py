"""Accounts with passwords: what is accepted, that nothing tells an unknown address from a wrong password, and hashing."""

from __future__ import annotations

import argon2
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trialogue import (
    Admission,
    ConflictError,
    Credentials,
    InvalidError,
    StorageError,
    ThrottledError,
    UnauthenticatedError,
)
from trialogue.testing import Fault, MemoryStore
from trialogue.testing.authenticator_kit import AuthenticatorKit
from trialogue_password import trialogue_authenticators
from trialogue_password._authenticator import PasswordAuthenticator
from trialogue_password._hashing import Hasher

SECRET = "correct horse"
OPEN = Admission()


def cheap(**options: int) -> Hasher:
    return Hasher(**{"memory_kib": 8, "passes": 1, "lanes": 1, **options})


class TestKit(AuthenticatorKit):
    """With parameters that cost enough for their time to be compared."""

    secret, other = SECRET, "battery staple"
    misfits = ("short12", "x" * 1025, "lone \ud800 surrogate")

    def authenticator(self, store: MemoryStore) -> PasswordAuthenticator:
        return PasswordAuthenticator(store, cheap(memory_kib=8_192))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def password(store: MemoryStore) -> PasswordAuthenticator:
    return PasswordAuthenticator(store, cheap())


def of(email: str, secret: str = SECRET) -> Credentials:
    return Credentials(email, secret)


async def test_login_finds_the_registered_account(password: PasswordAuthenticator) -> None:
    user = await password.register(of("Ada@Example.ORG "), "Ada", OPEN)
    assert (user.email, user.name, user.role) == ("ada@example.org", "Ada", "admin")
    assert await password.login(of("ada@EXAMPLE.org")) == user


async def test_second_account_is_a_plain_user(password: PasswordAuthenticator) -> None:
    await password.register(of("ada@example.org"), "", OPEN)
    assert (await password.register(of("bob@example.org"), "", OPEN)).role == "user"


async def test_empty_name_is_taken_from_the_address(password: PasswordAuthenticator) -> None:
    assert (await password.register(of("ada@example.org"), "  ", OPEN)).name == "ada"


async def test_address_is_registered_once(password: PasswordAuthenticator) -> None:
    await password.register(of("ada@example.org"), "", OPEN)
    with pytest.raises(ConflictError):
        await password.register(of("ADA@example.org"), "", OPEN)


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ada",
        "@example.org",
        "ada@",
        "ada@example",
        "ada@@example.org",
        "a da@example.org",
        "ada@exa mple.org",
        "ada@.org",
        "ada@example..org",
        "ada@example.org.",
        ".ada@example.org",
        "ada.@example.org",
        "ada\0@example.org",
        "ada\u200b@example.org",
        "a" * 65 + "@example.org",
        "a@" + "b" * 250 + ".org",
        "<ada@example.org>",
    ],
)
async def test_what_is_no_address_is_refused(password: PasswordAuthenticator, email: str) -> None:
    with pytest.raises(InvalidError) as caught:
        await password.register(of(email), "Ada", OPEN)
    assert caught.value.pointer == "/email"


@pytest.mark.parametrize("secret", ["", "short12", "x" * 1025, "lone \ud800 surrogate"])
async def test_what_is_no_password_is_refused(password: PasswordAuthenticator, secret: str) -> None:
    with pytest.raises(InvalidError) as caught:
        await password.register(of("ada@example.org", secret), "Ada", OPEN)
    assert caught.value.pointer == "/password"
    assert not secret or secret not in str(caught.value)


@pytest.mark.parametrize("secret", ["12345678", "x" * 1024, "pässwörd 🔑", "with\0nul byte"])
async def test_any_characters_make_a_password(password: PasswordAuthenticator, secret: str) -> None:
    user = await password.register(of("ada@example.org", secret), "Ada", OPEN)
    assert await password.login(of("ada@example.org", secret)) == user
    with pytest.raises(UnauthenticatedError):
        await password.login(of("ada@example.org", secret[:-1] + "?"))


async def test_password_is_the_same_however_its_accents_are_composed(password: PasswordAuthenticator) -> None:
    user = await password.register(of("ada@example.org", "caf\u00e9 au lait"), "", OPEN)
    assert await password.login(of("ada@example.org", "cafe\u0301 au lait")) == user


@pytest.mark.parametrize("name", ["x" * 201, "two\nlines", "bell\a"])
async def test_what_is_no_name_is_refused(password: PasswordAuthenticator, name: str) -> None:
    with pytest.raises(InvalidError) as caught:
        await password.register(of("ada@example.org"), name, OPEN)
    assert caught.value.pointer == "/name"


class Counting(Hasher):
    """Notes what is verified."""

    def __init__(self) -> None:
        super().__init__(memory_kib=8, passes=1, lanes=1)
        self.verified: list[str] = []

    async def verify(self, kept: str, secret: bytes) -> bool:
        self.verified.append(kept)
        return await super().verify(kept, secret)


@pytest.mark.parametrize("secret", ["wrong password", "short", "", "x" * 2000, "lone \ud800 surrogate"])
async def test_unknown_address_costs_and_says_what_a_wrong_password_does(store: MemoryStore, secret: str) -> None:
    """Both make exactly one hash, with the same parameters."""
    hasher = Counting()
    password = PasswordAuthenticator(store, hasher)
    await password.register(of("ada@example.org"), "", OPEN)
    said: list[str] = []
    for email in ("ada@example.org", "nobody@example.org"):
        with pytest.raises(UnauthenticatedError) as caught:
            await password.login(of(email, secret))
        said.append(str(caught.value))
    known, unknown = (argon2.extract_parameters(kept) for kept in hasher.verified)
    assert known == unknown
    assert said[0] == said[1]


async def test_decoy_takes_as_long_as_a_real_hash() -> None:
    """Its memory, passes, lanes, salt and digest are those of a hash that was made."""
    hasher = cheap(memory_kib=64, passes=2, lanes=2)
    made = argon2.extract_parameters(await hasher.hash(b"anything"))
    assert argon2.extract_parameters(hasher.decoy) == made
    assert not await hasher.verify(hasher.decoy, b"anything")


async def test_old_hash_is_renewed_at_login(store: MemoryStore) -> None:
    old, new = PasswordAuthenticator(store, cheap()), PasswordAuthenticator(store, cheap(passes=2))
    user = await old.register(of("ada@example.org"), "", OPEN)
    assert await new.login(of("ada@example.org")) == user
    found = await store.accounts.user_secret("ada@example.org")
    assert found is not None
    assert found[1] is not None
    assert argon2.extract_parameters(found[1]).time_cost == 2
    assert await new.login(of("ada@example.org")) == user


async def test_renewal_that_fails_does_not_cost_the_login(store: MemoryStore) -> None:
    user = await PasswordAuthenticator(store, cheap()).register(of("ada@example.org"), "", OPEN)
    store.faults.next("renew_secret", Fault(fail="before"))
    assert await PasswordAuthenticator(store, cheap(passes=2)).login(of("ada@example.org")) == user


async def test_unreadable_hash_matches_nothing(store: MemoryStore, password: PasswordAuthenticator) -> None:
    user = await password.register(of("ada@example.org"), "", OPEN)
    await store.accounts.change_secret(user.id, "not a hash")
    with pytest.raises(UnauthenticatedError):
        await password.login(of("ada@example.org"))


async def test_storage_failure_is_not_a_failed_login(store: MemoryStore, password: PasswordAuthenticator) -> None:
    store.faults.next("user_secret", Fault(fail="before"))
    with pytest.raises(StorageError):
        await password.login(of("ada@example.org"))


async def test_flood_is_told_to_come_back(store: MemoryStore) -> None:
    """Two hash, two wait; whoever comes then is refused at once, and all the others are served."""
    password = PasswordAuthenticator(store, Hasher(memory_kib=65_536, passes=3, lanes=1, waiting=2))
    outcomes: list[str] = []

    async def attempt() -> None:
        try:
            await password.login(of("nobody@example.org"))
        except ThrottledError as error:
            outcomes.append("throttled" if error.retry_after else "not told when")
        except UnauthenticatedError:
            outcomes.append("refused")

    async with trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(attempt)
        await wait_all_tasks_blocked()
        assert password.statistics() == {"hashing": 2, "waiting": 2}
    assert sorted(outcomes) == ["refused"] * 4 + ["throttled"] * 2


async def test_loop_turns_while_hashing() -> None:
    """With the parameters that serve, the loop goes round many times during one hash."""
    hasher, turns = Hasher(), 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(turn)
        made = await hasher.hash(b"correct horse")
        nursery.cancel_scope.cancel()
    assert turns > 100
    assert made.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_secret_is_in_no_repr(password: PasswordAuthenticator) -> None:
    assert SECRET not in repr(of("ada@example.org"))
    assert "hashing" in repr(password)


def test_plugin_declares_one_authenticator(store: MemoryStore) -> None:
    assert [authenticator.name for authenticator in trialogue_authenticators(store)] == ["password"]
