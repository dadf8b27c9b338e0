"""Who is calling: accounts, sessions, API keys, principals, and the port to authenticators. Where they are kept is
``accounts``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from trialogue._accounts.account_values import Admission
    from trialogue._accounts.audit import AuditEntry

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
    #: Set by an administrator: nothing lets it in.
    disabled: bool = False
    #: Any JSON object: what the page, or another client, remembers for the person.
    preferences: dict[str, Any] = {}
    #: Grows when the secret changes. A session of another epoch counts for nothing, even one that a login with the old
    #: secret was about to begin at that moment.
    epoch: int = 0


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
    #: The account's, when whoever logged in was verified.
    epoch: int = 0

    def admits(self, user: User, now: datetime) -> bool:
        """Whether it lets ``user``, whose it is, in."""
        return self.expires_at > now and self.epoch == user.epoch and not user.disabled


class ApiKey(msgspec.Struct, frozen=True):
    """A program's way in. Only a SHA-256 of its token is stored; ``id`` may be shown."""

    id: str
    user: str
    token_hash: bytes
    name: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    #: ``None``: it holds until it is revoked.
    expires_at: datetime | None = None
    #: Millionths of a dollar that it may spend in a month; ``None``: as much as its account.
    budget: int | None = None
    #: The last time it was used, to the hour or so.
    used_at: datetime | None = None

    def admits(self, user: User, now: datetime) -> bool:
        """Whether it lets ``user``, whose it is, in."""
        return (self.expires_at is None or self.expires_at > now) and not user.disabled


class Principal(msgspec.Struct, frozen=True):
    """The caller: an account, and the session or the API key by which it came."""

    user: User
    session: str | None = None
    key: str | None = None
    #: What the key may do; a session may do all that its account may.
    scopes: tuple[Scope, ...] = ()
    #: When the key ends by itself, and with it what was opened with it.
    until: datetime | None = None

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


class Authenticator(ABC):
    """One way of finding out who somebody is; made by an auth plugin for one store.

    What it asks for is said by the class below it: ``SecretAuthenticator`` takes an address and a secret. A kind that sends
    people elsewhere, or believes a proxy, needs no secret; it makes accounts through ``Accounts.add_user``.
    """

    name: str

    def statistics(self) -> Mapping[str, int]:
        """Figures about what it queues and throttles."""
        return {}


class SecretAuthenticator(Authenticator):
    """Accounts by an address and a secret, such as a password."""

    @abstractmethod
    async def register(self, credentials: Credentials, name: str, admission: Admission) -> User:
        """Make an account; the first one is administrator.

        Raises ``InvalidError`` (address or secret not acceptable, with ``pointer``), ``ConflictError`` (address taken),
        ``ForbiddenError`` (not admitted), ``ThrottledError``, ``StorageError``.
        """

    @abstractmethod
    async def login(self, credentials: Credentials) -> User:
        """The account whose secret this is. Takes the same time for an unknown address and a wrong secret.

        One that is disabled is returned as well: the caller looks. Raises ``UnauthenticatedError``, ``ThrottledError``,
        ``StorageError``.
        """

    @abstractmethod
    async def change_secret(
        self, user: User, secret: str, keep: str | None, audit: Sequence[AuditEntry]
    ) -> Sequence[str]:
        """Replace the secret; every session but ``keep`` ends. Returns the ids of those that did.

        Raises ``InvalidError`` (``/password``), ``NotFoundError`` (the account is gone), ``ThrottledError``,
        ``StorageError``.
        """

    @abstractmethod
    async def reset_secret(
        self, token_hash: bytes, secret: str, audit: Sequence[AuditEntry]
    ) -> tuple[User, Sequence[str]]:
        """Use up a one-time reset and replace the secret; every session ends. Returns whose, and the sessions.

        Raises ``ForbiddenError`` (no such reset, used, or too late), and as ``change_secret``.
        """
