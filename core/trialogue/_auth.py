"""Who is calling: accounts, sessions, principals, and the port to authenticators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

UserRole: TypeAlias = Literal["user", "admin"]
#: What an API key may do; none of them includes another.
Scope: TypeAlias = Literal["read", "write", "admin"]


class User(msgspec.Struct, frozen=True):
    """An account. ``email`` is kept as ``normal_email`` spells it and is unique."""

    id: str
    email: str
    name: str
    role: UserRole
    created_at: datetime


class Session(msgspec.Struct, frozen=True):
    """A device that is logged in. Only a SHA-256 of its token is stored; ``id`` may be shown."""

    id: str
    user: str
    token_hash: bytes
    created_at: datetime
    expires_at: datetime
    seen_at: datetime
    agent: str = ""
    address: str = ""


class Principal(msgspec.Struct, frozen=True):
    """The caller: an account, and the session or the API key by which it came."""

    user: User
    session: str | None = None
    key: str | None = None
    #: What the key may do; a session may do all that its account may.
    scopes: tuple[Scope, ...] = ()

    @property
    def credential(self) -> str:
        """The id of the session or the key; what ends with it carries this."""
        return self.session or self.key or ""


class Credentials(msgspec.Struct, frozen=True):
    """What a caller shows on login; ``secret`` never appears in ``repr`` of anything that is logged."""

    email: str
    secret: str

    def __repr__(self) -> str:
        return f"Credentials(email={self.email!r})"


def normal_email(email: str) -> str:
    """The one spelling under which an address is stored and compared."""
    return email.strip().casefold()


class Authenticator(ABC):
    """Verifies secrets of one kind; made by an auth plugin for one store."""

    name: str

    @abstractmethod
    async def register(self, credentials: Credentials, name: str) -> User:
        """Make an account; the first one is administrator.

        Raises ``InvalidError`` (address or secret not acceptable, with ``pointer``), ``ConflictError`` (address taken).
        """

    @abstractmethod
    async def login(self, credentials: Credentials) -> User:
        """The account whose secret this is. Takes the same time for an unknown address and a wrong secret.

        Raises ``UnauthenticatedError``, ``ThrottledError``.
        """

    def statistics(self) -> Mapping[str, int]:
        """Figures about what it queues and throttles."""
        return {}
