"""The kit fails an authenticator that breaks a promise; those that keep all of them pass in their own tests."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from trialogue import (
    Admission,
    AuditEntry,
    Credentials,
    InvalidError,
    SecretAuthenticator,
    Store,
    UnauthenticatedError,
    User,
    new_id,
    normal_email,
)
from trialogue.testing import MemoryStore
from trialogue.testing.authenticator_kit import AuthenticatorKit


class Careless(SecretAuthenticator):
    """Makes the mistakes there are to be made."""

    name = "careless"

    def __init__(self, store: Store) -> None:
        self.accounts = store.accounts
        self.last = ""

    def __repr__(self) -> str:
        return f"<Careless {self.last}>"

    async def register(self, credentials: Credentials, name: str, admission: Admission) -> User:
        if len(credentials.secret) < 8:
            raise InvalidError(f"{credentials.secret!r} is too short", pointer="/password")
        user = User(new_id(), normal_email(credentials.email), name, "user", datetime.now(UTC))
        return await self.accounts.add_user(user, _hashed(credentials.secret), admission)

    async def login(self, credentials: Credentials) -> User:
        self.last = credentials.secret
        logging.getLogger("careless").debug("login of %s", credentials.email)
        found = await self.accounts.user_secret(normal_email(credentials.email))
        if found is None:
            raise UnauthenticatedError("there is no such account")
        if found[1] != _hashed(credentials.secret):
            raise UnauthenticatedError("the secret is wrong")
        return found[0]

    async def change_secret(
        self, user: User, secret: str, keep: str | None, audit: Sequence[AuditEntry]
    ) -> Sequence[str]:
        return await self.accounts.change_secret(user.id, _hashed(secret), keep, audit) or ()

    async def reset_secret(
        self, token_hash: bytes, secret: str, audit: Sequence[AuditEntry]
    ) -> tuple[User, Sequence[str]]:
        raise NotImplementedError


def _hashed(secret: str) -> str:
    end = time.thread_time() + 0.03
    hashed = secret.encode()
    while time.thread_time() < end:
        hashed = hashlib.sha256(hashed).digest()
    return hashlib.sha256(secret.encode()).hexdigest()


class Over(AuthenticatorKit):
    secret, other = "correct horse", "battery staple"
    misfits = ("short",)

    def authenticator(self, store: MemoryStore) -> SecretAuthenticator:
        return Careless(store)


async def test_different_words_are_found() -> None:
    with pytest.raises(AssertionError):
        await Over().test_nothing_tells_an_unknown_address_from_a_wrong_secret()


async def test_a_quicker_answer_is_found() -> None:
    with pytest.raises(AssertionError):
        await Over().test_an_unknown_address_takes_as_long_as_a_wrong_secret()


async def test_computing_in_the_loop_is_found() -> None:
    with pytest.raises(AssertionError, match="in a thread"):
        await Over().test_the_loop_turns_meanwhile()


async def test_a_secret_in_the_words_of_a_refusal_is_found() -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await Over().test_what_is_no_address_or_secret_is_refused()


async def test_a_secret_in_a_repr_is_found(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(AssertionError):
        await Over().test_secrets_are_nowhere_to_be_read(caplog)


async def test_a_new_secret_that_is_not_looked_at_is_found() -> None:
    with pytest.raises(pytest.fail.Exception):
        await Over().test_a_new_secret_takes_the_place_of_the_old()


async def test_bad_secrets_do_not_pass_unseen() -> None:
    with pytest.raises(UnicodeEncodeError):
        await Over().test_secrets_of_any_kind_do_no_harm()
