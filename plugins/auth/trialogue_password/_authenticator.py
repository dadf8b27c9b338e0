"""Registering and logging in. An unknown address and a wrong password take one path through the code, and one answer."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from trialogue import (
    Admission,
    AuditEntry,
    Credentials,
    ForbiddenError,
    NotFoundError,
    SecretAuthenticator,
    Store,
    TrialogueError,
    UnauthenticatedError,
    User,
    checked_email,
    checked_name,
    new_id,
    normal_email,
)
from trialogue_password._hashing import Hasher
from trialogue_password._rules import checked_password, normal_password

log = logging.getLogger(__name__)


class PasswordAuthenticator(SecretAuthenticator):
    """Accounts of one store, by address and password."""

    name = "password"

    def __init__(self, store: Store, hasher: Hasher | None = None) -> None:
        self._accounts = store.accounts
        self._hasher = hasher or Hasher()

    def __repr__(self) -> str:
        return f"<PasswordAuthenticator {self.statistics()}>"

    async def register(self, credentials: Credentials, name: str, admission: Admission) -> User:
        """Make an account; the first one is administrator.

        Raises ``InvalidError`` (``/email``, ``/password`` or ``/name``), ``ConflictError`` (address taken),
        ``ForbiddenError`` (not admitted), ``ThrottledError``, ``StorageError``.
        """
        email, secret = checked_email(credentials.email), checked_password(credentials.secret)
        user = User(id=new_id(), email=email, name=checked_name(name, email), role="user", created_at=datetime.now(UTC))
        return await self._accounts.add_user(user, await self._hasher.hash(secret), admission)

    async def login(self, credentials: Credentials) -> User:
        """The account whose password this is.

        Raises ``UnauthenticatedError``, alike for an unknown address, one without a password, and a wrong password,
        ``ThrottledError``, ``StorageError``.
        """
        found = await self._accounts.user_secret(normal_email(credentials.email))
        user, kept = found or (None, None)
        secret = _typed(credentials.secret)
        matches = await self._hasher.verify(kept or self._hasher.decoy, secret)
        if user is None or kept is None or not matches:
            raise UnauthenticatedError("the address or the password is wrong: check both and try again")
        if self._hasher.is_outdated(kept):
            await self._renew(user, kept, secret)
        return user

    async def change_secret(
        self, user: User, secret: str, keep: str | None, audit: Sequence[AuditEntry]
    ) -> Sequence[str]:
        """Replace the password; every session but ``keep`` ends. Returns the ids of those that did.

        Raises ``InvalidError`` (``/password``), ``NotFoundError``, ``ThrottledError``, ``StorageError``.
        """
        made = await self._hasher.hash(checked_password(secret))
        ended = await self._accounts.change_secret(user.id, made, keep, audit)
        if ended is None:
            raise NotFoundError("the account is gone")
        return ended

    async def reset_secret(
        self, token_hash: bytes, secret: str, audit: Sequence[AuditEntry]
    ) -> tuple[User, Sequence[str]]:
        """Use up a one-time reset and replace the password; every session ends. Returns whose, and the sessions.

        Raises ``ForbiddenError`` (no such reset, used, or too late), and as ``change_secret``.
        """
        made = await self._hasher.hash(checked_password(secret))
        done = await self._accounts.use_reset(token_hash, made, audit)
        if done is None:
            raise ForbiddenError("this reset was used or is too old: ask the administrator for a new one")
        return done

    async def _renew(self, user: User, kept: str, secret: bytes) -> None:
        # A convenience that must not cost anyone the login: the old hash goes on working.
        try:
            await self._accounts.renew_secret(user.id, kept, await self._hasher.hash(secret))
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
