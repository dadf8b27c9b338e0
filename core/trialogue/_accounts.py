"""The port to what is stored of accounts: a facet of the store, reached as ``store.accounts``.

Whatever changes something takes the audit entries that record it, and writes them in the same transaction, if it took
effect. Tokens come in as SHA-256 hashes; nothing here ever holds one. Every method raises ``StorageError``, as the store's
do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from trialogue._audit import Action, AuditEntry, AuditPage, Origin
from trialogue._auth import ApiKey, Session, User, UserRole
from trialogue._errors import ForbiddenError, LimitError
from trialogue._merge import merge_patch

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


class Accounts(ABC):
    """Accounts, what lets one in, and the audit log, of one store."""

    # --- accounts ------------------------------------------------------------------------------------------------

    @abstractmethod
    async def add_user(
        self,
        user: User,
        secret_hash: str | None,
        admission: Admission = Admission(),  # noqa: B008 - frozen
        identity: Identity | None = None,
    ) -> User:
        """Store an account if it is admitted; returns it with the role it got. The very first is administrator.

        Its invitation is used up, and what ``admission.entries`` says is recorded. Raises ``ConflictError`` when the address
        or the identity is taken, ``ForbiddenError`` as ``Admission.admit`` does.
        """

    @abstractmethod
    async def has_users(self) -> bool:
        """Whether there is any account. Cheap: it is asked whenever registration is not open to everyone."""

    @abstractmethod
    async def user(self, user: str) -> User | None:
        """An account by id."""

    @abstractmethod
    async def user_by_email(self, email: str) -> User | None:
        """An account by its address, spelled as ``normal_email`` does."""

    @abstractmethod
    async def users(self, *, limit: int, cursor: str | None = None, text: str | None = None) -> UserPage:
        """A page of accounts; ``text`` keeps those with it in the address or the name.

        Raises ``InvalidError`` for a cursor that is not ours.
        """

    @abstractmethod
    async def set_user(self, user: str, change: UserChange, audit: Sequence[AuditEntry] = ()) -> User | None:
        """Change an account; one that becomes disabled loses its sessions. ``None`` when there is no such account.

        Raises ``ConflictError`` when the address is taken, or no administrator who is not disabled would be left.
        """

    @abstractmethod
    async def remove_user(self, user: str, audit: Sequence[AuditEntry] = ()) -> bool:
        """Remove an account with its sessions, keys and identities, and list it for ``deletions``. Whether there was one.

        Raises ``ConflictError`` when no administrator who is not disabled would be left.
        """

    # --- secrets -------------------------------------------------------------------------------------------------

    @abstractmethod
    async def user_secret(self, email: str) -> tuple[User, str | None] | None:
        """An account and its secret's hash, by address; one may have no secret."""

    @abstractmethod
    async def renew_secret(self, user: str, old_hash: str, new_hash: str) -> None:
        """Keep the same secret under another hash, unless it has changed meanwhile."""

    @abstractmethod
    async def change_secret(
        self, user: str, secret_hash: str, keep: str | None = None, audit: Sequence[AuditEntry] = ()
    ) -> Sequence[str] | None:
        """Replace the secret and raise the epoch; every session but ``keep`` ends, and a reset that was offered.

        Returns the ids of the sessions that ended, ``None`` when there is no such account.
        """

    @abstractmethod
    async def add_reset(self, reset: Reset, audit: Sequence[AuditEntry] = ()) -> bool:
        """Offer a reset. Whether there is such an account."""

    @abstractmethod
    async def reset(self, token_hash: bytes) -> User | None:
        """Whose secret may be reset by this token; ``None`` when nobody's, or no longer."""

    @abstractmethod
    async def use_reset(
        self, token_hash: bytes, secret_hash: str, audit: Sequence[AuditEntry] = ()
    ) -> tuple[User, Sequence[str]] | None:
        """Use up a reset, as ``change_secret``; ``None`` when there is none, or no longer."""

    # --- identities ----------------------------------------------------------------------------------------------

    @abstractmethod
    async def identity(self, issuer: str, subject: str) -> User | None:
        """The account of somebody who is known elsewhere, disabled or not."""

    @abstractmethod
    async def add_identity(self, user: str, identity: Identity, audit: Sequence[AuditEntry] = ()) -> bool:
        """Let an account be known by an identity; again is no error. Whether there is such an account.

        Raises ``ConflictError`` when it is another account's.
        """

    # --- sessions ------------------------------------------------------------------------------------------------

    @abstractmethod
    async def add_session(self, session: Session, most: int = 100, audit: Sequence[AuditEntry] = ()) -> Sequence[str]:
        """Store a session; of more than ``most`` of its account, those seen longest ago end. Returns their ids."""

    @abstractmethod
    async def session(self, token_hash: bytes) -> tuple[Session, User] | None:
        """A session and its account by the hash of its token, if it ``admits``."""

    @abstractmethod
    async def sessions(self, user: str) -> Sequence[Session]:
        """The sessions of an account that let it in, the one seen last first."""

    @abstractmethod
    async def touch_session(self, session: str, seen_at: datetime, expires_at: datetime) -> None:
        """A session was used; one that has ended meanwhile stays ended, which is no error."""

    @abstractmethod
    async def drop_session(self, session: str, audit: Sequence[AuditEntry] = ()) -> bool:
        """End a session. Whether there was one."""

    # --- keys ----------------------------------------------------------------------------------------------------

    @abstractmethod
    async def add_key(self, key: ApiKey, most: int = 100, audit: Sequence[AuditEntry] = ()) -> None:
        """Store a key. Raises ``ConflictError`` when its account has ``most`` already."""

    @abstractmethod
    async def key(self, token_hash: bytes) -> tuple[ApiKey, User] | None:
        """A key and its account by the hash of its token, if it ``admits``."""

    @abstractmethod
    async def key_by_id(self, key: str) -> ApiKey | None:
        """A key, expired or not."""

    @abstractmethod
    async def keys(self, user: str) -> Sequence[ApiKey]:
        """The keys of an account, newest first; expired ones too."""

    @abstractmethod
    async def touch_key(self, key: str, used_at: datetime) -> None:
        """A key was used; one that was revoked meanwhile stays so, which is no error."""

    @abstractmethod
    async def drop_key(self, key: str, audit: Sequence[AuditEntry] = ()) -> bool:
        """Revoke a key. Whether there was one."""

    # --- invitations ---------------------------------------------------------------------------------------------

    @abstractmethod
    async def add_invitation(self, invitation: Invitation, audit: Sequence[AuditEntry] = ()) -> None:
        """Store an invitation."""

    @abstractmethod
    async def invitation(self, token_hash: bytes) -> Invitation | None:
        """An invitation by the hash of its token, whatever has become of it."""

    @abstractmethod
    async def invitations(self, *, limit: int, cursor: str | None = None) -> InvitationPage:
        """A page of them, used and expired ones too. Raises ``InvalidError`` for a cursor that is not ours."""

    @abstractmethod
    async def drop_invitation(self, invitation: str, audit: Sequence[AuditEntry] = ()) -> bool:
        """Revoke an invitation. Whether there was one that nobody had used."""

    # --- the audit log -------------------------------------------------------------------------------------------

    @abstractmethod
    async def note(self, audit: Sequence[AuditEntry]) -> None:
        """Record what changed nothing else."""

    @abstractmethod
    async def audit(
        self,
        *,
        limit: int,
        cursor: str | None = None,
        action: Action | None = None,
        actor: str | None = None,
        subject: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AuditPage:
        """A page of what was recorded. Raises ``InvalidError`` for a cursor that is not ours."""

    @abstractmethod
    async def drop_audit(self, before: datetime, limit: int) -> int:
        """Remove at most ``limit`` entries made before ``before``; returns how many."""

    # --- what deleted accounts leave -----------------------------------------------------------------------------

    @abstractmethod
    async def deletions(self) -> Sequence[Deletion]:
        """Accounts that were removed and not forgotten, the oldest first."""

    @abstractmethod
    async def owned(self, user: str, limit: int) -> Sequence[str]:
        """Ids of conversations that belong to an account, those in the trash included."""

    @abstractmethod
    async def forget_deletion(self, user: str) -> None:
        """Nothing is left of it."""
