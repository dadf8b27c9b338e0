"""What requests about accounts may hold, and what answers show of them. Nothing that holds a secret tells it in ``repr``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from trialogue import ApiKey, Invitation, Scope, Session, User, UserRole
from trialogue_server._http.requests import Name

#: Millionths of a dollar: a million millions at most, so that sums of them fit everywhere.
Money: TypeAlias = Annotated[int, Meta(ge=0, le=10**12)]
Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]
#: Longer than any token of ours.
Token: TypeAlias = Annotated[str, Meta(max_length=200)]


class Confidential(msgspec.Struct, forbid_unknown_fields=True):
    """A body with a secret in it."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class RegisterBody(Confidential):
    """``POST /api/auth/register``."""

    email: str
    password: str
    name: str = ""
    invitation: Token | None = None


class LoginBody(Confidential):
    """``POST /api/auth/login``."""

    email: str
    password: str


class UpdateMeBody(Confidential):
    """``PATCH /api/auth/me``: a merge patch. A new ``email`` takes the ``password`` with it."""

    name: Name | UnsetType = UNSET
    email: str | UnsetType = UNSET
    password: str | UnsetType = UNSET
    preferences: dict[str, Any] | None | UnsetType = UNSET  # Any JSON object: the page's own.


class PasswordBody(Confidential):
    """``POST /api/auth/password``."""

    old: str
    new: str


class ResetBody(Confidential):
    """``POST /api/auth/reset``."""

    token: Token
    password: str


class DeleteMeBody(Confidential):
    """``DELETE /api/auth/me``."""

    password: str


class KeyBody(msgspec.Struct, forbid_unknown_fields=True):
    """``POST /api/auth/keys``."""

    name: Name
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1, max_length=3)] = ("read", "write")
    expires_at: Moment | None = None
    budget: Money | None = None


class InvitationBody(msgspec.Struct, forbid_unknown_fields=True):
    """``POST /api/admin/invitations``: good for so many days, for anyone, or for one address."""

    email: str | None = None
    role: UserRole = "user"
    days: Annotated[float, Meta(gt=0, le=366)] = 7.0


class UpdateUserBody(msgspec.Struct, forbid_unknown_fields=True):
    """``PATCH /api/admin/users/{id}``: what is left out stays."""

    name: Name | UnsetType = UNSET
    role: UserRole | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


# --- answers -----------------------------------------------------------------------------------------------------


class Me(msgspec.Struct, frozen=True):
    """An account, as its owner and administrators see it."""

    id: str
    email: str
    name: str
    role: UserRole
    created_at: datetime
    disabled: bool
    preferences: dict[str, Any]


class Device(msgspec.Struct, frozen=True):
    """A session. ``current`` is the one that asks."""

    id: str
    current: bool
    agent: str
    address: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


class Devices(msgspec.Struct, frozen=True):
    """The sessions of an account, the one seen last first."""

    sessions: tuple[Device, ...]


class Key(msgspec.Struct, frozen=True):
    """An API key, without its token. ``budget`` is in millionths of a dollar a month; ``used_at`` is true to the hour."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None
    budget: int | None
    used_at: datetime | None


class NewKey(msgspec.Struct, frozen=True):
    """A key that was made. ``token`` is shown this once."""

    key: Key
    token: str


class KeyList(msgspec.Struct, frozen=True):
    """The keys of an account, newest first; expired ones too."""

    keys: tuple[Key, ...]


class ShownInvitation(msgspec.Struct, frozen=True):
    """An invitation, without its token, and what became of it."""

    id: str
    email: str | None
    role: UserRole
    created_by: str
    created_at: datetime
    expires_at: datetime
    used_by: str | None
    used_at: datetime | None


class NewInvitation(msgspec.Struct, frozen=True):
    """An invitation that was made. ``token`` is shown this once; registering takes it."""

    invitation: ShownInvitation
    token: str


class OfferedReset(msgspec.Struct, frozen=True):
    """A one-time reset. ``token`` is shown this once; ``POST /api/auth/reset`` takes it."""

    token: str
    expires_at: datetime


def shown_user(user: User) -> Me:
    """What is shown of an account."""
    return Me(user.id, user.email, user.name, user.role, user.created_at, user.disabled, user.preferences)


def shown_session(session: Session, current: str | None) -> Device:
    """What is shown of a session."""
    return Device(
        session.id,
        session.id == current,
        session.agent,
        session.address,
        session.created_at,
        session.seen_at,
        session.expires_at,
    )


def shown_key(key: ApiKey) -> Key:
    """What is shown of a key."""
    return Key(key.id, key.name, key.scopes, key.created_at, key.expires_at, key.budget, key.used_at)


def shown_invitation(one: Invitation) -> ShownInvitation:
    """What is shown of an invitation."""
    return ShownInvitation(
        one.id, one.email, one.role, one.created_by, one.created_at, one.expires_at, one.used_by, one.used_at
    )
