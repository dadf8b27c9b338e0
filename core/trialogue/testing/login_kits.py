"""The conformance kits for those who vouch for a person: places to be sent to, and a proxy's headers.

    class TestGatehouse(RedirectLoginKit):
        @asynccontextmanager
        async def open_login(self):
            async with open_gatehouse() as gatehouse, aclosing(Gatehouse(gatehouse.url)) as login:
                yield LoginCase(login, gatehouse.let_pass, Person(Identity("gatehouse", "ada"), "ada@example.org"))

A login that lets in who should not be is the worst there is: nearly all that the kit tries is what nobody honest does.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import ClassVar
from urllib.parse import urlsplit

import msgspec
import pytest
import trio

from trialogue._accounts.identity import Departure, HeaderLogin, Person, RedirectLogin
from trialogue._facts.errors import TrialogueError, UnauthenticatedError

CALLBACK = "http://127.0.0.1:9/api/auth/logins/callback"
#: What a browser may say it was given to keep, and was not.
_FORGED = ("", "!", "e30", "A" * 1_000, "WzEsMiwzXQ", "x" * 100_000, "\ud800", "bnVsbA", "//8")


class LoginCase(msgspec.Struct, frozen=True):
    """A place, how somebody logs in there, and who that is.

    ``visit`` does what a browser and the person in front of it do: it follows an address, and returns the query with which
    it was sent back.
    """

    login: RedirectLogin
    visit: Callable[[str], Awaitable[Mapping[str, str]]]
    person: Person
    #: A query with which the place sends back whom it does not let in, by the address it was asked at.
    refusal: Callable[[str], Mapping[str, str]] | None = None


class RedirectLoginKit:
    """Subclass it and give ``open_login``; each method that begins with ``test_`` states one promise of the port."""

    #: Seconds after which a check that hangs fails.
    patience: ClassVar[float] = 30
    #: The full address to come back to, if the place knows only one.
    callback: ClassVar[str] = CALLBACK

    def open_login(self) -> AbstractAsyncContextManager[LoginCase]:
        """The login, and the place behind it; leaving the block closes both."""
        raise NotImplementedError(f"{type(self).__name__} must say how its login is opened")

    async def test_it_is_named(self) -> None:
        async with self.open_login() as case:
            assert re.fullmatch(r"[a-z0-9-]+", case.login.name), "it is part of addresses"
            assert case.login.title.strip(), "it stands on a button"

    async def test_who_went_comes_back(self) -> None:
        async with self.open_login() as case:
            departure = await self._departed(case)
            person = await case.login.arrive(self.callback, departure.kept, await case.visit(departure.url))
            assert person == case.person
            assert person.identity.issuer
            assert person.identity.subject

    async def test_what_is_kept_is_small_and_says_nothing_in_words(self) -> None:
        async with self.open_login() as case:
            departure = await self._departed(case)
            assert urlsplit(departure.url).scheme in ("http", "https")
            assert re.fullmatch(r"[A-Za-z0-9_=-]{1,1000}", departure.kept), "at most 1,000 characters of base64url"
            assert departure.kept not in repr(departure)
            assert departure.kept not in departure.url, "who sees the address is not the browser yet"

    async def test_each_attempt_is_its_own(self) -> None:
        async with self.open_login() as case:
            mine, other = await self._departed(case), await self._departed(case)
            assert mine.kept != other.kept
            back = await case.visit(other.url)
            await self._refused(case, mine.kept, back)

    async def test_an_attempt_is_good_once(self) -> None:
        async with self.open_login() as case:
            departure = await self._departed(case)
            back = await case.visit(departure.url)
            await case.login.arrive(self.callback, departure.kept, back)
            await self._refused(case, departure.kept, back)

    async def test_what_was_forged_is_refused(self) -> None:
        async with self.open_login() as case:
            departure = await self._departed(case)
            back = await case.visit(departure.url)
            for kept in _FORGED:
                await self._refused(case, kept, back)
            for name, value in back.items():
                for forged in ("", "x" * 10_000, value[::-1], "\x00"):
                    if forged != value:
                        await self._refused(case, departure.kept, {**back, name: forged})
            await self._refused(case, departure.kept, {})

    async def test_whom_it_does_not_let_in_is_refused(self) -> None:
        async with self.open_login() as case:
            departure = await self._departed(case)
            if case.refusal is not None:
                await self._refused(case, departure.kept, case.refusal(departure.url))

    async def test_people_may_come_side_by_side(self) -> None:
        async with self.open_login() as case:

            async def come() -> None:
                departure = await self._departed(case)
                back = await case.visit(departure.url)
                assert await case.login.arrive(self.callback, departure.kept, back) == case.person

            async with trio.open_nursery() as nursery:
                for _ in range(5):
                    nursery.start_soon(come)

    async def test_who_gives_up_disturbs_nobody(self) -> None:
        async with self.open_login() as case:
            for wait in (0, 0.001, 0.01):
                with trio.move_on_after(wait):
                    await case.login.depart(self.callback)
            await self._departed(case)

    async def _departed(self, case: LoginCase) -> Departure:
        with trio.fail_after(self.patience):
            return await case.login.depart(self.callback)

    async def _refused(self, case: LoginCase, kept: str, query: Mapping[str, str]) -> None:
        with trio.fail_after(self.patience), pytest.raises(UnauthenticatedError) as caught:
            await case.login.arrive(self.callback, kept, query)
        _check_words(caught.value, [kept, *query.values()])


class HeaderLoginKit:
    """Subclass it and say how the headers are written; each method that begins with ``test_`` states one promise."""

    #: Headers that name somebody, and whom. Names in lower case, values as HTTP has them: each byte a character.
    headers: ClassVar[Mapping[str, str]]
    person: ClassVar[Person]
    #: Of these, the one without which nobody is named.
    decisive: ClassVar[str]

    def login(self) -> HeaderLogin:
        """The login."""
        raise NotImplementedError(f"{type(self).__name__} must say what its login is")

    def test_person_is_read(self) -> None:
        login = self.login()
        assert login.name
        assert login.identify({"host": "example.org", **self.headers}) == self.person
        assert login.identify(dict(self.headers)) == self.person, "the same again"

    def test_nobody_is_named(self) -> None:
        login = self.login()
        others = {name: value for name, value in self.headers.items() if name != self.decisive}
        for headers in ({}, {"host": "example.org"}, others, {**self.headers, self.decisive: ""}):
            assert login.identify(headers) is None, f"{sorted(headers)} name nobody"

    @pytest.mark.parametrize("value", ["\xff", "a\x00b", "x" * 100_000, "a\nb", "\u202eada".encode().decode("latin-1")])
    def test_what_makes_no_sense_is_refused(self, value: str) -> None:
        with pytest.raises(UnauthenticatedError) as caught:
            self.login().identify({**self.headers, self.decisive: value})
        _check_words(caught.value, [value])

    def test_any_other_header_may_hold_anything(self) -> None:
        for name in (*self.headers, "x-unknown"):
            for value in ("", "\xff", "x" * 10_000, "\x00"):
                try:
                    person = self.login().identify({**self.headers, name: value})
                except UnauthenticatedError:
                    continue
                assert person is None or person.identity.subject


def _check_words(error: TrialogueError, secrets: list[str]) -> None:
    """It is shown to whoever tries, who may be no friend, and logged."""
    words = str(error)
    assert 0 < len(words) <= 1_000
    assert not any(secret in words for secret in secrets if len(secret) > 8), "its words repeat what was sent"
