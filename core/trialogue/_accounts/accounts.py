"""The port to what is stored of accounts: a facet of the store, reached as ``store.accounts``.

Whatever changes something takes the audit entries that record it, and writes them in the same transaction, if it took
effect. Tokens come in as SHA-256 hashes; nothing here ever holds one. Every method raises ``StorageError``, as the store's
do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime

from trialogue._accounts.account_values import (
    Admission,
    Deletion,
    Identity,
    Invitation,
    InvitationPage,
    Reset,
    UserChange,
    UserPage,
)
from trialogue._accounts.audit import Action, AuditEntry, AuditPage
from trialogue._accounts.auth import ApiKey, Session, User


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
        self, user: str, secret_hash: str | None, keep: str | None = None, audit: Sequence[AuditEntry] = ()
    ) -> Sequence[str] | None:
        """Replace the secret and raise the epoch; every session but ``keep`` ends, and a reset that was offered.

        ``None`` leaves the account without a secret: nobody logs in with one.

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

    @abstractmethod
    async def drop_expired_sessions(self, limit: int) -> int:
        """Remove at most ``limit`` sessions that have ended by themselves; returns how many. ``add_session`` does so too."""

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

    @abstractmethod
    async def drop_old_invitations(self, before: datetime, limit: int) -> int:
        """Remove at most ``limit`` invitations that were used before ``before``, or by nobody until they ended before then.

        Returns how many.
        """

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
