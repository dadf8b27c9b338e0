"""Registering and logging in. An unknown address and a wrong password take one path through the code, and one answer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from trialogue import (
    Authenticator,
    Credentials,
    InvalidError,
    Store,
    TrialogueError,
    UnauthenticatedError,
    User,
    new_id,
    normal_email,
)
from trialogue_password._hashing import Hasher
from trialogue_password._rules import checked_email, checked_password, normal_password

log = logging.getLogger(__name__)

LONGEST_NAME = 200


class PasswordAuthenticator(Authenticator):
    """Accounts of one store, by address and password."""

    name = "password"

    def __init__(self, store: Store, hasher: Hasher | None = None) -> None:
        self._store = store
        self._hasher = hasher or Hasher()

    def __repr__(self) -> str:
        return f"<PasswordAuthenticator {self.statistics()}>"

    async def register(self, credentials: Credentials, name: str) -> User:
        """Make an account; the first one is administrator.

        Raises ``InvalidError`` (``/email``, ``/password`` or ``/name``), ``ConflictError`` (address taken),
        ``ThrottledError``, ``StorageError``.
        """
        email, secret = checked_email(credentials.email), checked_password(credentials.secret)
        user = User(
            id=new_id(), email=email, name=_checked_name(name, email), role="user", created_at=datetime.now(UTC)
        )
        return await self._store.add_user(user, await self._hasher.hash(secret))

    async def login(self, credentials: Credentials) -> User:
        """The account whose password this is.

        Raises ``UnauthenticatedError``, alike for an unknown address and a wrong password, ``ThrottledError``,
        ``StorageError``.
        """
        found = await self._store.user_secret(normal_email(credentials.email))
        user, kept = found or (None, self._hasher.decoy)
        secret = _typed(credentials.secret)
        matches = await self._hasher.verify(kept, secret)
        if user is None or not matches:
            raise UnauthenticatedError("the address or the password is wrong: check both and try again")
        if self._hasher.is_outdated(kept):
            await self._renew(user, secret)
        return user

    async def _renew(self, user: User, secret: bytes) -> None:
        # A convenience that must not cost anyone the login: the old hash goes on working.
        try:
            await self._store.set_secret(user.id, await self._hasher.hash(secret))
        except TrialogueError as error:
            log.warning("the password hash of account %s keeps its old parameters: %s", user.id, error)

    def statistics(self) -> Mapping[str, int]:
        """Hashes being made, and callers in line for one."""
        return self._hasher.statistics()


def _typed(secret: str) -> bytes:
    # What cannot be a password still takes the whole path; the empty one is nobody's, it is too short.
    try:
        return normal_password(secret)
    except UnicodeEncodeError:
        return b""


def _checked_name(name: str, email: str) -> str:
    shown = name.strip() or email.partition("@")[0]
    if len(shown) > LONGEST_NAME or not shown.isprintable():
        raise InvalidError(f"the name must be at most {LONGEST_NAME} printable characters", pointer="/name")
    return shown
