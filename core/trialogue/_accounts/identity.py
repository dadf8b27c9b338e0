"""Logging in without a secret of ours: ports to those who vouch for a person, and what they say.

A ``RedirectLogin`` sends the browser away and reads what it brings back (OpenID Connect). A ``HeaderLogin`` reads what a
proxy in front of us wrote into each request. Neither makes accounts: the server finds or makes the account of a
``Person``, and keeps the two together.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import msgspec

from trialogue._accounts.account_values import Identity


class Person(msgspec.Struct, frozen=True):
    """Someone, as another system vouches for them. Only ``identity`` lasts.

    ``email`` may change and may belong to someone else tomorrow: it is what the account is made with, and proves nothing
    unless ``email_verified``.
    """

    identity: Identity
    email: str | None = None
    email_verified: bool = False
    name: str = ""


class Departure(msgspec.Struct, frozen=True):
    """Where to send the browser, and what it has to bring back with it: the server keeps ``kept`` in a cookie of its own."""

    url: str
    #: Opaque, at most 1,000 characters of base64url; good for one return, by the same browser, within ten minutes.
    kept: str

    def __repr__(self) -> str:
        return f"Departure({self.url.partition('?')[0]!r})"


class RedirectLogin(ABC):
    """One place that people can be sent to for logging in."""

    #: In addresses: lower-case letters, digits and dashes.
    name: str
    #: On the button.
    title: str
    #: Whether the account that has the person's verified address may be logged in to; what let in before then ends.
    links_verified_email: bool = False
    #: Whether it may make accounts even where people cannot register by themselves.
    registers: bool = False

    @abstractmethod
    async def depart(self, callback: str) -> Departure:
        """Begin; ``callback`` is the full address the browser is to come back to.

        Raises ``BrokenError`` when the other side cannot be reached or says what makes no sense.
        """

    @abstractmethod
    async def arrive(self, callback: str, kept: str, query: Mapping[str, str]) -> Person:
        """Who came back. ``kept`` is what ``depart`` gave, ``query`` what the browser was sent back with.

        Raises ``UnauthenticatedError`` (refused, forged, expired, used before) and ``BrokenError``, as ``depart`` does.
        """

    async def aclose(self) -> None:  # noqa: B027 - who holds nothing has nothing to let go
        """Let connections go. It is not used afterwards."""


class HeaderLogin(ABC):
    """Reads the person from headers that a trusted proxy sets; asked for its requests only."""

    name: str
    #: As with ``RedirectLogin``.
    registers: bool = False

    @abstractmethod
    def identify(self, headers: Mapping[str, str]) -> Person | None:
        """Who is calling, by header names in lower case; ``None`` when the proxy names nobody. Cheap: asked per request.

        Raises ``UnauthenticatedError`` when the headers are there and make no sense.
        """
