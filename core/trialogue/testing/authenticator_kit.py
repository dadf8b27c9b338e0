"""The conformance kit for authenticators that take an address and a secret, with pytest and pytest-trio.

Subclass ``AuthenticatorKit`` in a test module, name some secrets, and say how the authenticator is made for a store:

    class TestMine(AuthenticatorKit):
        secret, other = "correct horse", "battery staple"
        misfits = ("short",)

        def authenticator(self, store):
            return MyAuthenticator(store)

The store is one in memory. Time is compared as processor time of the whole process, which other processes do not disturb; an
authenticator that asks elsewhere has to see for itself that it waits as long for whom there is none.
"""

from __future__ import annotations

import hashlib
import logging
import statistics
import time
import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
import trio

from trialogue._accounts.account_values import Admission, Reset, UserChange
from trialogue._accounts.auth import Credentials, SecretAuthenticator, Session, User
from trialogue._facts.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    StorageError,
    ThrottledError,
    UnauthenticatedError,
)
from trialogue._facts.ids import new_id
from trialogue.testing.memory_faults import Fault
from trialogue.testing.memory_store import MemoryStore

ADDRESS = "ada@example.org"
NOBODY = "nobody@example.org"


class AuthenticatorKit:
    """Subclass it; each method that begins with ``test_`` states one promise of the port."""

    #: Two secrets that are accepted.
    secret: ClassVar[str]
    other: ClassVar[str]
    #: Some that are not; the empty one need not be named.
    misfits: ClassVar[tuple[str, ...]] = ()
    #: Logins at the same time; each succeeds, or is told to come back.
    concurrent: ClassVar[int] = 8
    #: Logins whose time is compared.
    runs: ClassVar[int] = 7
    #: Seconds of the loop's own processor time that a login may take; the rest belongs into a thread.
    held: ClassVar[float] = 0.02
    #: Seconds after which a check that hangs fails.
    patience: ClassVar[float] = 30

    def authenticator(self, store: MemoryStore) -> SecretAuthenticator:
        """One for the accounts of ``store``."""
        raise NotImplementedError(f"{type(self).__name__} must say how its authenticator is made")

    async def test_who_registered_can_log_in(self) -> None:
        one = self.authenticator(MemoryStore())
        assert one.name
        user = await self._registered(one)
        assert (user.email, user.name, user.role) == (ADDRESS, "Ada", "admin"), "the first one is administrator"
        assert await self._login(one, " ADA@Example.org ") == user, "however the address is written"
        second = await one.register(Credentials("bob@example.org", self.other), "", Admission())
        assert second.role == "user"

    async def test_an_address_is_registered_once(self) -> None:
        one = self.authenticator(MemoryStore())
        await self._registered(one)
        with pytest.raises(ConflictError):
            await one.register(Credentials("ADA@example.org", self.other), "", Admission())
        assert await self._login(one), "the first one's secret is still the secret"

    async def test_who_is_not_admitted_gets_no_account(self) -> None:
        store = MemoryStore()
        one = self.authenticator(store)
        await self._registered(one)
        with pytest.raises(ForbiddenError):
            await one.register(Credentials(NOBODY, self.other), "", Admission(is_open=False))
        assert await store.accounts.user_by_email(NOBODY) is None

    async def test_what_is_no_address_or_secret_is_refused(self) -> None:
        one = self.authenticator(MemoryStore())
        with pytest.raises(InvalidError) as caught:
            await one.register(Credentials("no address", self.secret), "Ada", Admission())
        assert caught.value.pointer == "/email"
        for secret in ("", *self.misfits):
            with pytest.raises(InvalidError) as caught:
                await one.register(Credentials(ADDRESS, secret), "Ada", Admission())
            assert caught.value.pointer == "/password"
            assert not secret or secret not in _said(caught.value)

    async def test_nothing_tells_an_unknown_address_from_a_wrong_secret(self) -> None:
        store = MemoryStore()
        one = self.authenticator(store)
        await self._registered(one)
        other = User(new_id(), "eve@example.org", "Eve", "user", datetime.now(UTC))
        await store.accounts.add_user(other, None, Admission())  # Comes in another way, and has no secret.
        said = [await self._refused(one, who) for who in (ADDRESS, NOBODY, other.email)]
        assert len(set(said)) == 1, said

    async def test_an_unknown_address_takes_as_long_as_a_wrong_secret(self) -> None:
        one = self.authenticator(MemoryStore())
        await self._registered(one)
        known: list[float] = []
        unknown: list[float] = []
        for _ in range(self.runs):
            known.append(await self._seconds(one, ADDRESS))
            unknown.append(await self._seconds(one, NOBODY))
        wrong, nobody = statistics.median(known), statistics.median(unknown)
        assert abs(wrong - nobody) <= max(0.4 * max(wrong, nobody), 0.002), f"{wrong:.4f} s and {nobody:.4f} s"

    async def test_secrets_of_any_kind_do_no_harm(self) -> None:
        one = self.authenticator(MemoryStore())
        await self._registered(one)
        near = (self.secret[:-1], f"{self.secret}x")
        for secret in ("", "x" * 100_000, "half a pair \ud800", "nul \0", *near, *self.misfits):
            with pytest.raises(UnauthenticatedError):
                await self._login(one, secret=secret)

    async def test_one_that_is_disabled_is_returned(self) -> None:
        store = MemoryStore()
        one = self.authenticator(store)
        await self._registered(one)
        user = await self._registered(one, "bob@example.org")
        await store.accounts.set_user(user.id, UserChange(disabled=True))
        assert (await self._login(one, user.email)).disabled, "the caller looks"

    async def test_a_storage_that_fails_is_no_failed_login(self) -> None:
        store = MemoryStore()
        one = self.authenticator(store)
        await self._registered(one)
        store.faults.next("user_secret", Fault(fail="before"))
        with pytest.raises(StorageError):
            await self._login(one)
        assert await self._login(one)

    async def test_many_at_once_are_served_or_told_to_come_back(self) -> None:
        one = self.authenticator(MemoryStore())
        user, came = await self._registered(one), list[object]()

        async def attempt() -> None:
            try:
                came.append(await self._login(one) == user)
            except ThrottledError as error:
                came.append(error.retry_after)

        async with trio.open_nursery() as nursery:
            for _ in range(self.concurrent):
                nursery.start_soon(attempt)
        assert len(came) == self.concurrent
        assert all(came)

    async def test_the_loop_turns_meanwhile(self) -> None:
        one = self.authenticator(MemoryStore())
        await self._registered(one)
        held = await _least(time.thread_time, lambda: self._login(one))
        assert held <= self.held, f"a login held the loop for {held:.3f} s: compute in a thread"

    async def test_cancelled_it_ends_and_can_be_asked_again(self) -> None:
        one = self.authenticator(MemoryStore())
        user = await self._registered(one)
        for seconds in (0, 0.001, 0.02):
            with trio.move_on_after(seconds):
                await self._login(one)
        assert await self._login(one) == user

    async def test_a_new_secret_takes_the_place_of_the_old(self) -> None:
        store = MemoryStore()
        one = self.authenticator(store)
        user = await self._registered(one)
        sessions = [await self._session(store, user) for _ in range(2)]
        assert list(await one.change_secret(user, self.other, sessions[0], ())) == [sessions[1]]
        await self._refused(one, ADDRESS, self.secret)
        assert (await self._login(one, secret=self.other)).id == user.id
        for secret in ("", *self.misfits):
            with pytest.raises(InvalidError) as caught:
                await one.change_secret(user, secret, None, ())
            assert caught.value.pointer == "/password"

    async def test_an_account_that_is_gone_gets_no_new_secret(self) -> None:
        store = MemoryStore()
        one = self.authenticator(store)
        await self._registered(one)
        user = await self._registered(one, "bob@example.org")
        await store.accounts.remove_user(user.id)
        with pytest.raises(NotFoundError):
            await one.change_secret(user, self.other, None, ())
        await self._refused(one, user.email)

    async def test_a_reset_is_good_for_once(self) -> None:
        store = MemoryStore()
        one = self.authenticator(store)
        user = await self._registered(one)
        token = hashlib.sha256(b"token").digest()
        await store.accounts.add_reset(Reset(user.id, token, datetime.now(UTC) + timedelta(hours=1)))
        whose, _ = await one.reset_secret(token, self.other, ())
        assert whose.id == user.id
        assert (await self._login(one, secret=self.other)).id == user.id
        with pytest.raises(ForbiddenError):
            await one.reset_secret(token, self.secret, ())
        await self._refused(one, ADDRESS, self.secret)

    async def test_secrets_are_nowhere_to_be_read(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        store = MemoryStore()
        one = self.authenticator(store)
        await self._registered(one)
        await self._login(one)
        shown = [repr(one), repr(one.statistics()), *await self._errors(one, self.secret)]
        shown += [record.getMessage() + (record.exc_text or "") for record in caplog.records]
        found = await store.accounts.user_secret(ADDRESS)
        assert found is not None
        shown.append(str(found[1]))
        assert not any(self.secret in text for text in shown)

    # --- asking ----------------------------------------------------------------------------------------------------

    async def _registered(self, one: SecretAuthenticator, email: str = ADDRESS) -> User:
        with trio.fail_after(self.patience):
            return await one.register(Credentials(email, self.secret), "Ada", Admission())

    async def _login(self, one: SecretAuthenticator, email: str = ADDRESS, secret: str | None = None) -> User:
        with trio.fail_after(self.patience):
            return await one.login(Credentials(email, self.secret if secret is None else secret))

    async def _refused(self, one: SecretAuthenticator, email: str, secret: str | None = None) -> str:
        with pytest.raises(UnauthenticatedError) as caught:
            await self._login(one, email, self.other if secret is None else secret)
        return f"{type(caught.value).__name__}: {caught.value}".replace(email, "the address")

    async def _seconds(self, one: SecretAuthenticator, email: str) -> float:
        started = time.process_time()
        await self._refused(one, email)
        return time.process_time() - started

    async def _errors(self, one: SecretAuthenticator, secret: str) -> list[str]:
        """What is said by failures, each with the whole chain of what it came from."""
        with pytest.raises(UnauthenticatedError) as unknown:
            await self._login(one, NOBODY, secret)
        with pytest.raises(ConflictError) as taken:
            await one.register(Credentials(ADDRESS, secret), "", Admission())
        return [_said(unknown.value), _said(taken.value)]

    async def _session(self, store: MemoryStore, user: User) -> str:
        now, session = datetime.now(UTC), new_id()
        token = hashlib.sha256(session.encode()).digest()
        await store.accounts.add_session(Session(session, user.id, token, now, now + timedelta(days=1), now))
        return session


def _said(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


async def _least(clock: Callable[[], float], work: Callable[[], Awaitable[object]]) -> float:
    """The least that ``work`` takes of three times: what else the machine does is no fault of it."""
    took: list[float] = []
    for _ in range(3):
        started = clock()
        await work()
        took.append(clock() - started)
    return min(took)
