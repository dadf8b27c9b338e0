"""What the facet ``accounts`` takes and gives besides accounts, sessions and keys: on what grounds an account is made, what
lets its secret be set anew, how it is known elsewhere, and what is to become of it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from trialogue._accounts.audit import AuditEntry, Origin
from trialogue._accounts.auth import User, UserRole
from trialogue._facts.errors import ForbiddenError, LimitError
from trialogue._facts.merge import merge_patch

#: Bytes of an account's preferences as JSON: they are read with every request.
PREFERENCES = 16_384


class Invitation(msgspec.Struct, frozen=True):
    """Leave to make one account. ``email`` is the only address it is good for, if there is one."""

    id: str
    token_hash: bytes
    role: UserRole
    created_by: str
    created_at: datetime
    expires_at: datetime
    email: str | None = None
    used_by: str | None = None
    used_at: datetime | None = None

    def admits(self, email: str, now: datetime) -> bool:
        """Whether an account with this address may be made by it now."""
        return self.used_by is None and self.expires_at > now and self.email in (None, email)

    @property
    def over_at(self) -> datetime:
        """From when on it admits nobody, as far as is known."""
        return self.used_at or self.expires_at


class Reset(msgspec.Struct, frozen=True):
    """Leave to set an account's secret anew, once. An account has one at a time: a new one replaces it."""

    user: str
    token_hash: bytes
    expires_at: datetime


class Identity(msgspec.Struct, frozen=True):
    """Who somebody is elsewhere: ``subject`` is unique and lasting with its ``issuer``, as OpenID Connect means it."""

    issuer: str
    subject: str


class Admission(msgspec.Struct, frozen=True):
    """On what grounds an account may be made; looked at in the transaction that makes it."""

    origin: Origin = Origin()
    #: Whether anyone may make one. The very first account is always admitted.
    is_open: bool = True
    invitation: Invitation | None = None

    def admit(self, user: User, *, first: bool, kept: Invitation | None) -> User:
        """The account as it is to be stored; ``kept`` is the invitation as it is stored. Raises ``ForbiddenError``."""
        if first:
            return msgspec.structs.replace(user, role="admin")
        if self.invitation is not None:
            if kept is None or not kept.admits(user.email, user.created_at):
                raise ForbiddenError("the invitation was used, revoked or is for another address: ask for a new one")
            return msgspec.structs.replace(user, role=kept.role)
        if not self.is_open:
            raise ForbiddenError("accounts are made by invitation here: ask the administrator for one")
        return user

    def entries(self, user: User) -> tuple[AuditEntry, ...]:
        """What is recorded of the account that was made."""
        origin = msgspec.structs.replace(self.origin, actor=self.origin.actor or user.id)
        made = origin.entry("account.registered", user.id, detail=user.role)
        if self.invitation is None:
            return (made,)
        return (made, origin.entry("invitation.used", user.id, thing=self.invitation.id))


class UserChange(msgspec.Struct, frozen=True):
    """What is to become of an account; what is not set stays."""

    name: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    role: UserRole | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    #: A merge patch; ``None`` empties them.
    preferences: dict[str, Any] | None | UnsetType = UNSET  # Any JSON object, as in ``User``.

    def apply(self, user: User) -> User:
        """The account after it. Raises ``LimitError`` for preferences that have grown too large."""
        given: dict[str, Any] = {name: getattr(self, name) for name in self.__struct_fields__}  # Each as its field.
        changes = {name: value for name, value in given.items() if value is not UNSET}
        if "preferences" in changes:
            changes["preferences"] = _merged(user.preferences, changes["preferences"])
        return msgspec.structs.replace(user, **changes)


def _merged(preferences: dict[str, Any], patch: dict[str, Any] | None) -> dict[str, Any]:
    merged: dict[str, Any] = {} if patch is None else merge_patch(preferences, patch)
    if len(msgspec.json.encode(merged)) > PREFERENCES:
        raise LimitError(f"preferences are larger than {PREFERENCES} bytes: keep less in them", pointer="/preferences")
    return merged


class UserPage(msgspec.Struct, frozen=True):
    """Accounts by address; ``cursor`` continues after the last one, ``None`` at the end."""

    users: tuple[User, ...]
    cursor: str | None


class InvitationPage(msgspec.Struct, frozen=True):
    """Invitations, newest first; ``cursor`` continues after the last one, ``None`` at the end."""

    invitations: tuple[Invitation, ...]
    cursor: str | None


class Deletion(msgspec.Struct, frozen=True):
    """An account that is gone, and whose belongings are not yet, or may not all be."""

    user: str
    at: datetime
